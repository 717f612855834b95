"""Queries, Hubness and About in a real browser, on a small gallery that QB-Norm changes."""

import re

import numpy as np
import pytest
from PIL import Image

from retrieval.answers import Settings
from retrieval.building import Build
from retrieval.figures import exposure_bins, videos_per_bin
from retrieval.gallery import EncoderId, open_gallery, write_gallery
from retrieval.querybank import open_querybank, write_querybank
from retrieval.tabs.queries import Filter, bins_of, chosen_rows
from tests.fakes import FakeEncoder, sentences
from tests.page import EVIL, chromium_or_skip, served

pytestmark = pytest.mark.browser

N_ITEMS, N_BANK = 70, 60
ROWS = "#query-table tbody tr"
BARS = ".barlayer .point path"
CHARTS = {
    "change-histogram": "change-summary",
    "exposure": "exposure-told",
    "lorenz": "lorenz-told",
    "bank-curve": "bank-told",
    "beta-curve": "beta-told",
}


def films(folder, encoder):
    """Seventy items with a poster and a query each; the first three are hubs, v0 is hostile."""
    rng = np.random.default_rng(3)
    captions = sentences(N_ITEMS, seed=11)
    text_emb = encoder.encode_text(captions)
    video_emb = text_emb + 0.45 * rng.standard_normal(text_emb.shape)
    video_emb[:3] = 3 * text_emb.mean(axis=0) + 0.15 * video_emb[:3]
    captions[0] = EVIL
    path = folder / "films"
    items = [{"id": f"v{n}", "caption": c, "poster": "p.jpg"} for n, c in enumerate(captions)]
    queries = [{"id": f"q{n}", "text": c, "video_id": f"v{n}"} for n, c in enumerate(captions)]
    with Build(path, "make films") as build:
        Image.new("RGB", (64, 48), (90, 120, 200)).save(build.folder / "p.jpg")
        write_gallery(path, video_emb, items, EncoderId.of(encoder), queries, text_emb, build=build)
    return open_gallery(path)


def partial(folder, name, dim, with_queries):
    """A gallery of another encoder, without querybank, with or without queries."""
    emb = np.random.default_rng(dim).standard_normal((9, dim))
    items = [{"id": f"{name}{n}", "caption": text} for n, text in enumerate(sentences(9))]
    queries = [{"id": f"s{n}", "text": f"say {n}", "video_id": f"{name}{n}"} for n in range(9)]
    asked = (queries, emb + 1) if with_queries else ()
    write_gallery(folder / name, emb, items, EncoderId.external(dim), *asked)
    return open_gallery(folder / name)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    chromium_or_skip()
    from retrieval.tabs.library import EncoderSlot, Library

    folder, encoder = tmp_path_factory.mktemp("views"), FakeEncoder()
    galleries = [
        films(folder, encoder),
        partial(folder, "nobank", 7, True),
        partial(folder, "nothing", 5, False),
    ]
    captions = sentences(N_BANK, seed=4)
    write_querybank(folder / "bank", encoder.encode_text(captions), captions, EncoderId.of(encoder))
    slot = EncoderSlot(lambda: encoder)
    return Library(galleries, [open_querybank(folder / "bank")], {"films": slot})


@pytest.fixture(scope="module")
def url(library):
    with served(library) as address:
        yield address.rstrip("/")


@pytest.fixture
def page(new_page):
    return new_page()


def open_tab(page, url, tab, more=""):
    page.goto(f"{url}/?tab={tab}{more}")
    last = {"queries": "#change-histogram", "hubness": "#beta-curve"}[tab]
    page.wait_for_selector(f"{last} .trace", state="attached")
    return page


def expected(library, settings=None, **wanted):
    """Texts of the rows that a filter keeps, in order."""
    changes = library.engine("films").changes(settings or Settings())
    return [each.text for each in chosen_rows(changes, Filter(**wanted))]


def wait_rows(page, texts):
    """Wait until the table shows these queries in this order."""
    page.wait_for_function(
        """texts => JSON.stringify(texts) === JSON.stringify(
            [...document.querySelectorAll('#query-table a')].map(a => a.textContent))""",
        arg=texts,
    )


def click_bar(page, chart, number):
    """Press a drawn bar, counted over all series."""
    bar = page.locator(f"#{chart} {BARS}").nth(number)
    page.locator(f"#{chart}").scroll_into_view_if_needed()
    box = bar.bounding_box()
    # Near the top: on a logarithmic axis a bar reaches far below what is shown of it.
    x, y = box["x"] + box["width"] / 2, box["y"] + min(box["height"] / 2, 12)
    page.mouse.move(x - 1, y)
    page.mouse.move(x, y)
    page.wait_for_timeout(200)  # plotly looks for what the pointer is over on its own clock
    page.mouse.down()
    page.mouse.up()


# ---- Queries -------------------------------------------------------------------------------------


def test_the_table_pages_filters_and_sorts(page, url, library):
    open_tab(page, url, "queries")
    every = expected(library)
    wait_rows(page, every[:50])
    page.click("#query-on")
    wait_rows(page, every[50:])
    assert page.is_disabled("#query-on")
    page.click("#query-back")
    wait_rows(page, every[:50])
    for kind in ("helped", "hurt", "unchanged"):
        page.click(f"#query-kind label:has-text('{kind}')")
        some = expected(library, kind=kind)
        assert 0 < len(some) < len(every)
        wait_rows(page, some[:50])
    page.click("#query-kind label:has-text('all')")
    wait_rows(page, every[:50])
    page.click("#query-order input")
    page.click("[role=option]:has-text('largest loss')")
    wait_rows(page, expected(library, order="largest loss")[:50])
    page.fill("#query-filter textarea, #query-filter input", "DOG v1")
    some = expected(library, order="largest loss", text="DOG v1")
    assert 0 < len(some) < 20
    wait_rows(page, some)
    page.fill("#query-filter textarea, #query-filter input", "nowhere")
    page.wait_for_selector("#query-table:has-text('No stored query passes this filter.')")


def test_the_widest_pair_of_percentages_fits_its_tile(page, url):
    open_tab(page, url, "queries")
    inside = page.locator("#query-metrics .hl-tile b").evaluate_all(
        """all => all.map(e => { e.textContent = '100.0 → 100.0 %';
            return e.scrollWidth <= e.clientWidth; })"""
    )
    assert len(inside) == 7 and all(inside)


def test_a_bar_filters_the_table_until_all_are_shown_again(page, url, library):
    open_tab(page, url, "queries")
    changes = library.engine("films").changes(Settings())
    every = expected(library)
    wait_rows(page, every[:50])
    assert page.is_hidden("#bar-clear")
    per_bar = [expected(library, bar=number) for number in range(len(bins_of(changes)))]
    chosen = next(n for n in reversed(range(len(per_bar))) if per_bar[n])
    click_bar(page, "change-histogram", chosen)
    wait_rows(page, per_bar[chosen])
    page.click("#bar-clear:has-text('places: show all')")
    wait_rows(page, every[:50])
    page.wait_for_selector("#bar-clear", state="hidden")
    page.click("#change-summary summary")  # the same without a pointer
    button = page.locator("#change-summary [data-bar]").nth(chosen)
    assert button.inner_text() == str(len(per_bar[chosen]))
    button.press("Enter")
    wait_rows(page, per_bar[chosen])


def test_a_row_opens_its_query_in_compare_and_back_returns(page, url, library):
    open_tab(page, url, "queries")
    texts = expected(library)
    link = page.locator(f"{ROWS} a", has_text=texts[0]).first
    link.click()
    page.wait_for_selector("#results .hl-card")
    page.wait_for_function("location.search.includes('query_id=') && !/tab=/.test(location.search)")
    box = page.input_value("#query textarea, #query input")
    assert box == texts[0]
    page.wait_for_timeout(1000)  # what the opened tab writes into the address comes later
    page.go_back()
    page.wait_for_selector(ROWS)
    wait_rows(page, texts[:50])
    assert "tab=queries" in page.url


# ---- Hubness -------------------------------------------------------------------------------------


def tile(page, name):
    return page.inner_text(f"#hub-numbers .hl-tile:has(dt:text-is('{name}')) b")


def test_depth_source_and_axis_draw_the_counts_anew(page, url, library):
    open_tab(page, url, "hubness")
    engine = library.engine("films")
    for k, over in ((10, "queries"), (5, "queries"), (5, "bank")):
        if k == 5 and over == "queries":
            page.click("#depth label:has-text('5')")
        elif over == "bank":
            page.click("#over label:has-text('querybank')")
        report = engine.hubness(Settings(), k, over)
        told = f"{report.raw.largest_hub:,.0f} → {report.norm.largest_hub:,.0f} places"
        page.wait_for_selector(f"#hub-numbers :text-is('{told}')")
        assert tile(page, "skewness") == (
            f"{report.raw.k_skewness:.1f} → {report.norm.k_skewness:.1f}"
        )
        assert page.locator("#biggest li").count() == len(report.biggest)
        page.wait_for_function(
            "n => document.querySelectorAll('#exposure .barlayer .point').length === n",
            arg=2 * len(exposure_bins(report)),
        )
    page.wait_for_selector("#hub-numbers:has-text('the very captions that the bias was fitted')")
    page.click("#log-y label")
    page.wait_for_selector("#exposure text.ytitle:has-text('logarithmic')")


def test_a_bar_shows_its_videos_of_its_own_ranking(page, url, library):
    open_tab(page, url, "hubness")
    page.click("#depth label:has-text('5')")  # a chart drawn anew still answers to clicks
    report = library.engine("films").hubness(Settings(), 5, "queries")
    page.wait_for_selector("#exposure-told:has-text('no top 5')")
    bins = exposure_bins(report)
    sides = (report.counts_raw, report.counts_norm)
    for side, counts in enumerate(sides):
        n_videos = videos_per_bin(counts, bins)
        bar = int(np.argmax(n_videos))
        click_bar(page, "exposure", side * len(bins) + bar)
        title = f"{n_videos[bar]} videos with {bins[bar].label} places"
        page.wait_for_selector(f"#in-bar h2:has-text('{title}')")
        shown = page.locator("#in-bar b").all_inner_texts()
        within = {f"v{n}" for n, count in enumerate(counts) if count in bins[bar]}
        assert len(shown) == min(20, len(within)) and set(shown) <= within
    assert page.inner_text("#in-bar h2").startswith("With QB-Norm")


def test_settings_draw_both_tabs_anew(page, url, library):
    open_tab(page, url, "hubness")
    first = page.inner_text("#hub-numbers")
    page.click("#settings button")
    page.click("#right input")
    page.click("[role=option]:has-text('Inverted softmax')")
    page.wait_for_selector("#exposure .legendtext:has-text('With Inverted softmax')")
    page.wait_for_function(
        "old => document.querySelector('#hub-numbers').innerText !== old", arg=first
    )
    page.click("[role=tab]:has-text('Queries')")
    page.wait_for_selector("#query-counts:has-text('With Inverted softmax')")
    page.fill("#beta input[type=number]", "3")
    page.keyboard.press("Tab")
    settings = Settings(right="inverted_softmax", beta=3.0)
    changes = library.engine("films").changes(settings)
    page.wait_for_selector(f"#query-counts:has-text('{changes.helped} helped')")
    wait_rows(page, expected(library, settings)[:50])


# ---- all charts ----------------------------------------------------------------------------------


def test_charts_load_late_read_in_the_dark_and_have_their_numbers_in_words(new_page, url):
    page = new_page(color_scheme="dark")
    page.goto(url)
    page.wait_for_selector("#results .hl-card")
    assert not any("plotly" in each.lower() for each in new_page.asked)
    page.click("[role=tab]:has-text('Queries')")
    page.wait_for_selector("#change-histogram .trace", state="attached")
    assert any("plotly" in each.lower() for each in new_page.asked)
    page.click("[role=tab]:has-text('Hubness')")
    page.wait_for_selector("#beta-curve .trace", state="attached")
    for chart, told in CHARTS.items():
        tab = "Queries" if chart == "change-histogram" else "Hubness"
        page.click(f"[role=tab]:has-text('{tab}')")
        page.wait_for_selector(f"#{chart} text.xtitle")
        look = page.evaluate(
            """id => {
            const plot = document.getElementById(id);
            const paint = (what) => getComputedStyle(plot.querySelector(what));
            return [paint('.main-svg').backgroundColor, paint('text.xtitle').fill,
                    paint('text.ytitle').fill]; }""",
            chart,
        )
        assert look[0] == "rgba(0, 0, 0, 0)"
        assert look[1] == look[2] == "rgb(167, 176, 194)"  # the theme's own ink, contrast 8.7
        assert page.inner_text(f"#{told} .hl-summary").endswith(".")
        page.click(f"#{told} summary")
        assert page.locator(f"#{told} table caption").is_visible()
        assert page.locator(f"#{told} tbody tr").count() >= 3
        assert page.locator(f"#{told} thead th[scope=col]").count() >= 2


def test_on_a_phone_nothing_scrolls_sideways_and_all_can_be_touched(new_page, url):
    page = new_page(viewport={"width": 390, "height": 844}, has_touch=True)
    for tab, touched in (
        (
            "queries",
            "#query-on, #query-kind label, #query-filter textarea, #change-summary summary",
        ),
        ("hubness", "#depth label, #over label, #log-y label, #beta-told summary"),
    ):
        open_tab(page, url, tab)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        wide = page.evaluate(
            """() => [...document.querySelectorAll('[role=tabpanel] *')].filter((e) => {
            const box = e.getBoundingClientRect();
            return box.width && (box.right > 391 || box.left < -1) && !e.closest('svg, thead');
            }).map((e) => e.outerHTML.slice(0, 80))"""
        )
        assert wide == []
        heights = page.locator(touched).evaluate_all("all => all.map(e => e.offsetHeight)")
        assert len(heights) >= 4 and min(heights) >= 44
    page.goto(f"{url}/about")
    page.wait_for_selector("#citation")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_hostile_captions_are_text_in_table_and_hub_cards(page, url):
    open_tab(page, url, "hubness")
    assert EVIL in page.locator("#biggest li span").all_inner_texts()
    page.click("[role=tab]:has-text('Queries')")
    page.fill("#query-filter textarea, #query-filter input", "onerror")
    wait_rows(page, [EVIL])
    assert "owned" not in page.title()
    assert page.locator("#query-table img, #biggest span img").count() == 0


def test_what_a_gallery_lacks_is_said_in_a_sentence(page, url):
    page.goto(f"{url}/?tab=queries&gallery=nothing")
    page.wait_for_selector("#query-table:has-text('This gallery keeps no labelled queries.')")
    page.click("[role=tab]:has-text('Hubness')")
    page.wait_for_selector("#hub-numbers:has-text('this gallery has neither')")
    page.wait_for_selector("#bank-told:has-text('Needs a querybank and labelled queries.')")
    assert page.locator(".toast-wrap :text('went wrong')").count() == 0
    page.goto(f"{url}/?tab=queries&gallery=nobank")
    page.wait_for_selector("#query-counts:has-text('No querybank fits this gallery')")
    assert page.locator(ROWS).count() == 9
    page.click("[role=tab]:has-text('Hubness')")
    page.wait_for_selector("#hub-numbers:has-text('both rankings are raw')")
    assert page.locator("#exposure .legendtext:has-text('QB-Norm')").count() == 0
    assert page.locator("#biggest .hl-nostill").count() == 0  # no frames around nothing


# ---- About ---------------------------------------------------------------------------------------


def test_about_explains_shows_and_cites(page, url):
    page.goto(f"{url}/about")
    page.wait_for_selector("#citation")
    assert page.locator("h1").all_inner_texts() == ["About"]
    assert page.get_by_role("img", name=re.compile("^Before, a hub is first")).is_visible()
    text = page.inner_text("body")
    for words in (
        "When it hurts",
        "films (70 items)",
        "What you type is not stored",
        "bogolin2022",
    ):
        assert words in text
    page.click("nav a:has-text('Search'), .nav-holder a:has-text('Search')")
    page.wait_for_selector("#results .hl-card")
