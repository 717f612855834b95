"""The page Results in a real browser."""

import csv
import io
from pathlib import Path

import httpx
import pytest

from retrieval.published import Wanted, choose
from retrieval.tabs.results import PAGE, every_line, link_of, of_link
from tests.fakes import FakeEncoder
from tests.page import axe_findings, bare_gallery, chromium_or_skip, served

pytestmark = pytest.mark.browser

ROWS = "#results-table tbody tr"
GRADIO_AXE = {"image-redundant-alt": [r'img\[alt="Settings"\]']}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    chromium_or_skip()
    from retrieval.tabs.library import Library

    library = Library([bare_gallery(tmp_path_factory.mktemp("results"), FakeEncoder())])
    with served(library) as address:
        yield address


@pytest.fixture
def page(new_page, url):
    return opened(new_page(), url)


def opened(page, url, link=""):
    page.goto(f"{url}results{link}")
    page.wait_for_selector(ROWS)
    return page


def models(found):
    """First cells, as the browser gives their text."""
    return [line.row.method for line in found]


def wait_models(page, expected):
    page.wait_for_function(
        """names => JSON.stringify(names) === JSON.stringify([...document.querySelectorAll(
            '#results-table tbody th')].map(th => th.firstChild.textContent))""",
        arg=expected,
    )


def test_deviations_have_as_many_decimals_as_their_values(page):
    line = next(each for each in every_line() if each.raw and each.raw.std.get("R@1") == 1.0)
    page.fill("#results-filter :is(textarea, input)", line.row.command)
    page.wait_for_selector(f"{ROWS} code:text-is('{line.row.command}')")
    printed = page.locator(f"{ROWS} td small").all_inner_texts()
    assert "(1.0)" in printed
    assert all("." in each for each in printed if each.startswith("("))


def test_the_table_is_one_page_long_and_turns(page):
    wait_models(page, models(every_line()[:PAGE]))
    assert page.is_disabled("#results-back")
    page.click("#results-on")
    wait_models(page, models(every_line()[PAGE : 2 * PAGE]))
    page.wait_for_function("location.search === '?page=2'")
    assert page.url.endswith("/results?page=2")
    page.click("#results-back")
    wait_models(page, models(every_line()[:PAGE]))


def test_words_and_menus_filter(page):
    page.fill("#results-filter textarea, #results-filter input", "msr-vtt ce+")
    wait_models(page, models(choose(every_line(), Wanted(text="msr-vtt ce+"))))
    page.click("#results-show input")
    page.click("[role=option]:has-text('raw and normalised')")
    both = Wanted(text="msr-vtt ce+", show="raw and normalised")
    assert 0 < len(choose(every_line(), both)) < len(choose(every_line(), Wanted(text=both.text)))
    wait_models(page, models(choose(every_line(), both)))
    page.fill("#results-filter textarea, #results-filter input", "nowhere to be found")
    page.wait_for_selector("#results-table:has-text('No row passes this filter.')")


def test_headings_sort_without_a_mouse_and_say_so(page):
    page.focus("[data-order=gain]")
    page.keyboard.press("Enter")
    largest = Wanted(order="gain", descending=True)
    wait_models(page, models(choose(every_line(), largest)[:PAGE]))
    assert page.get_attribute("th:has([data-order=gain])", "aria-sort") == "descending"
    page.wait_for_function("document.activeElement.dataset.order === 'gain'")
    page.keyboard.press("Enter")
    wait_models(page, models(choose(every_line(), Wanted(order="gain"))[:PAGE]))
    assert page.get_attribute("th:has([data-order=gain])", "aria-sort") == "ascending"


def test_the_address_shows_the_same_table_in_another_browser(page, new_page, url):
    page.click("#results-metric input")
    page.click("[role=option]:has-text('MdR')")
    page.fill("#results-filter textarea, #results-filter input", "qb-norm")
    page.wait_for_selector("[data-order=raw]:has-text('MdR raw')")
    page.click("[data-order=normalised]")
    page.wait_for_function("location.search.includes('order=normalised')")
    page.wait_for_function("location.search.includes('q=qb-norm')")
    shown = page.inner_text("#results-table tbody")
    other = opened(new_page(), url, page.url.split("results")[1])
    assert other.inner_text("#results-table tbody") == shown
    assert other.input_value("#results-metric input") == "MdR"
    assert other.input_value("#results-filter textarea, #results-filter input") == "qb-norm"


def test_links_of_a_table_lead_back_to_it():
    wanted = Wanted("a&b=<i>", "published", "v2t", "Geom", "raw", True)
    link = link_of(wanted, 3)
    assert of_link(httpx.QueryParams(link[1:])) == (wanted, 3)
    assert link_of(Wanted()) == "?"
    strange = {"show": "x", "task": "x", "metric": "x", "order": "x", "page": "-3", "q": "a" * 999}
    assert of_link(strange) == (Wanted(text="a" * 300), 0)


def test_the_csv_holds_the_rows_on_screen(page):
    page.fill("#results-filter textarea, #results-filter input", "TT-CE+ LSMDC")
    found = choose(every_line(), Wanted(text="TT-CE+ LSMDC"))
    wait_models(page, models(found))
    with page.expect_download() as caught:
        page.click("#results-table a[download]")
    text = Path(caught.value.path()).read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["R@1"] for row in rows] == ["17.2", "17.8"]
    assert [row["normaliser"] for row in rows] == ["none", "QB-Norm"]


def test_measured_rows_look_different_and_carry_their_command(page):
    page.fill("#results-filter textarea, #results-filter input", "ce+")
    both = choose(every_line(), Wanted(text="ce+"))
    wait_models(page, models(both))
    here = page.locator(".hl-here")
    assert 0 < here.count() < len(both)
    assert here.count() == len(choose(both, Wanted(show="measured here")))
    for text in here.all_inner_texts():
        assert "measured here" in text and "python " in text
    ground = "e => getComputedStyle(e).backgroundColor"
    theirs = page.locator(f"{ROWS}:not(.hl-here) td").first.evaluate(ground)
    assert here.locator("td").first.evaluate(ground) != theirs
    for link in page.locator(f"{ROWS}:not(.hl-here) td:last-child a").all():
        assert link.get_attribute("href").startswith("https://github.com/")
        assert "noopener" in link.get_attribute("rel")


def test_a_row_that_contradicts_itself_says_so(page):
    page.fill("#results-filter textarea, #results-filter input", "msvd qb-norm tt-ce+")
    page.wait_for_selector(f"{ROWS}:has-text('contradicts itself'):has-text('mean is 51.2')")


def test_two_columns_stay_while_the_rest_scrolls_on_a_phone(new_page, url):
    page = opened(new_page(viewport={"width": 390, "height": 844}), url)
    assert page.evaluate("document.documentElement.scrollWidth") == 390

    def places():
        cells = page.locator(f"{ROWS}:first-child > *")
        return [cells.nth(n).bounding_box()["x"] for n in range(3)]

    before = places()
    page.locator(".hl-wide").evaluate("e => e.scrollLeft = 200")
    after = places()
    assert after[:2] == before[:2] and after[2] == before[2] - 200
    small = page.locator("#results-table a[download], [data-order], #results-on").evaluate_all(
        "all => all.filter(e => e.offsetHeight < 44).map(e => e.outerHTML)"
    )
    assert small == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_of_ours(new_page, url, theme):
    page = opened(new_page(color_scheme=theme), url, "?show=raw+and+normalised")
    assert axe_findings(page, GRADIO_AXE) == {}
    assert page.locator("h1").count() == 1


def test_words_from_an_address_are_text(new_page, url):
    page = new_page()
    page.goto(f"{url}results?q=%3Cimg+src%3Dx+onerror%3Ddocument.title%3D1%3E")
    page.wait_for_selector("#results-table:has-text('No row passes this filter.')")
    assert page.locator("#results-table img").count() == 0
    assert page.title() != "1"


def test_the_table_is_small(url):
    from retrieval.tabs.results import table_html

    assert max(len(table_html(Wanted(), page)[0]) for page in range(8)) < 90_000
    home = httpx.get(url).text
    assert '"results-show"' not in home  # no component of this page is in the first view
