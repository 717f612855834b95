"""One film library under several models, in a real browser: the menu, "Why?" and sounds."""

import contextlib
import re
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from retrieval.answers import Settings
from retrieval.errors import ModelError
from retrieval.tabs import library as library_module
from tests.page import (
    CARD,
    MODELS,
    axe_findings,
    chromium_or_skip,
    ids,
    served,
    type_query,
    wait_results,
    write_models,
)

pytestmark = pytest.mark.browser

CLIP, CE, MOEE, AUDIO = MODELS
MENU = "[data-menu]"
GRADIO_AXE = {"image-redundant-alt": [r'img\[alt="Settings"\]']}


class Doors:
    """Opens galleries and loads encoders, each when it may."""

    def __init__(self, encoders, open_gallery):
        self.encoders, self._open_gallery = encoders, open_gallery
        self.allowed = {name: threading.Event() for name in ("gallery", "encoder")}
        self.opened, self.loaded = [], []
        self.broken = False  # no encoder can be loaded

    def open_gallery(self, path):
        if path.name == CE:
            self.allowed["gallery"].wait(60)
        self.opened.append(path.name)
        return self._open_gallery(path)

    def get_encoder(self, spec):
        if spec == CE:
            self.allowed["encoder"].wait(60)
        if self.broken:
            raise ModelError("the weights are not here")
        self.loaded.append(spec)
        return self.encoders[spec]


@pytest.fixture(scope="module")
def doors(tmp_path_factory):
    chromium_or_skip()
    folder = tmp_path_factory.mktemp("models")
    doors = Doors(write_models(folder), library_module.open_gallery)
    doors.folder = folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library_module, "open_gallery", doors.open_gallery)
        patch.setattr(library_module, "get_encoder", doors.get_encoder)
        yield doors


@pytest.fixture(scope="module")
def library(doors):
    later = [doors.folder / name for name in MODELS[1:]]
    return library_module.Library.open([doors.folder / CLIP], later=later)


@pytest.fixture(scope="module")
def url(library):
    with served(library) as address:
        yield address


@pytest.fixture(scope="module")
def one_page(browser, url):
    """A page that most tests share, since opening one takes seconds."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(90_000)
    page.goto(url)
    page.wait_for_selector(CARD)
    yield page
    page.context.close()


@pytest.fixture
def visit(one_page, doors):
    """Show a link in the shared page, as a step back to it would."""
    doors.allowed["gallery"].set()

    def show(search, encoders=True):
        if encoders:
            doors.allowed["encoder"].set()
        answers = one_page.evaluate(
            """search => { document.activeElement.blur();
                history.pushState({}, '', location.pathname + search);
                dispatchEvent(new PopStateEvent('popstate')); return hublens.answers; }""",
            search,
        )
        one_page.wait_for_function("before => hublens.answers > before", arg=answers)
        part = search.lstrip("?").split("&")[0]
        one_page.wait_for_selector(f"#results a[download][href*='{part}']", state="attached")
        return one_page

    yield show
    doors.broken = False


def expected(library, gallery, settings=None, **asked):
    """Ids of both rankings."""
    rankings = library.engine(gallery).rank(settings=settings or Settings(), **asked).rankings
    return tuple([card.id for card in ranking.results] for ranking in rankings)


def shown(page):
    """Ids of both columns; one list stands for both where they are the same."""
    left = ids(page, 1)
    return left, ids(page, 2) or left


def params(page):
    return {name: value[0] for name, value in parse_qs(urlsplit(page.url).query).items()}


def until(page, is_so):
    """Wait until something is so, on the server or on the page."""
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


def until_asked(page, text):
    """Wait until the query's field holds it: parts of one answer are drawn one after the other."""
    until(page, lambda: page.input_value("#query textarea, #query input") == text)


# ---- nothing is loaded before it is chosen (must come first) -------------------------------------


def test_the_menu_names_all_models_and_only_the_first_is_open(new_page, url, library, doors):
    page = new_page()
    page.goto(url)
    page.wait_for_selector(CARD)
    assert page.get_by_label("Model").input_value() == CLIP
    names = page.locator(f"{MENU} option").all_inner_texts()
    assert names == ["Small CLIP", "CE", "MoEE", "Text to audio (AR-CE)"]
    assert doors.opened == [CLIP]
    until(page, lambda: doors.loaded)  # once the page is drawn
    assert doors.loaded == ["animations-clip"]
    assert [library.is_open(name) for name in MODELS] == [True, False, False, False]
    assert page.query_selector("#bank") is None  # each model has one bank


def test_a_model_that_is_opened_says_so_and_keeps_query_and_settings(new_page, url, library, doors):
    page = new_page()
    page.goto(f"{url}?query_id=video7503&beta=9&n=4&left=csls&gallery={CLIP}")
    page.wait_for_selector(CARD)
    before = shown(page)
    page.select_option(MENU, CE)
    page.wait_for_selector("#status .hl-loading:has-text('Loading CE')")
    assert shown(page) == before
    page.fill("#strength input[type=number]", "0.5")  # belongs to what is awaited
    page.wait_for_timeout(1500)
    assert page.input_value(MENU) == CE
    assert shown(page) == before
    doors.allowed["gallery"].set()
    wait_results(page, f"gallery={CE}")
    page.wait_for_function("location.search.includes('animations-ce')")
    settings = Settings(left="csls", beta=9.0, top=4, strength=0.5)
    assert shown(page) == expected(library, CE, settings, query_id="video7503")
    bank = {"bank": f"{CE}-bank", "gallery": CE}
    asked = {"query_id": "video7503", "beta": "9", "n": "4", "left": "csls", "strength": "0.5"}
    assert params(page) == {**asked, **bank}
    page.go_back()
    page.wait_for_function("menu => document.querySelector(menu).value === 'animations'", arg=MENU)
    wait_results(page, f"gallery={CLIP}&")
    page.wait_for_selector("#results .hl-card")


def test_a_typed_query_waits_for_the_encoder_of_its_model(visit, library, doors):
    page = visit(f"?query_id=video7504&gallery={CE}", encoders=False)
    before = shown(page)
    type_query(page, "blue bird on the roof")
    page.wait_for_selector("#status .hl-loading:has-text('Loading the text encoder')")
    assert shown(page) == before
    doors.allowed["encoder"].set()
    wait_results(page, "q=blue+bird")
    assert CE in doors.loaded
    assert shown(page) == expected(library, CE, query="blue bird on the roof")
    type_query(page, "red zebra")
    page.wait_for_selector("#unknown :text('zebra')")


# ---- answers out of turn -------------------------------------------------------------------------


@contextlib.contextmanager
def held_back(page, act):
    """Do something whose event waits on its way to the server until the block ends."""
    waiting = []
    page.route(
        "**/queue/join*",
        lambda route: route.continue_() if waiting else waiting.append(route),
    )
    act()
    until(page, lambda: waiting)
    yield
    waiting[0].continue_()
    page.unroute("**/queue/join*")


def test_a_model_that_is_chosen_before_an_answer_comes_answers_that_query(visit, library):
    page = visit(f"?query_id=video7504&gallery={CE}")
    with held_back(page, lambda: type_query(page, "blue bird on the roof")):
        page.select_option(MENU, CLIP)
        wait_results(page, f"gallery={CLIP}&")
    wait_results(page, f"q=blue+bird+on+the+roof&gallery={CLIP}")
    assert page.input_value(MENU) == CLIP
    until_asked(page, "blue bird on the roof")
    assert shown(page) == expected(library, CLIP, query="blue bird on the roof")
    page.wait_for_function("location.search.includes('q=blue+bird')")
    assert params(page)["gallery"] == CLIP


def test_a_setting_and_a_model_that_are_changed_at_once_both_hold(visit, library):
    page = visit(f"?query_id=video7504&gallery={CE}")
    with held_back(page, lambda: page.fill("#strength input[type=number]", "0.5")):
        page.select_option(MENU, CLIP)
        wait_results(page, f"gallery={CLIP}&")
    wait_results(page, "strength=0.5")
    wait_results(page, f"gallery={CLIP}&")
    assert shown(page) == expected(library, CLIP, Settings(strength=0.5), query_id="video7504")


def test_of_two_models_the_one_chosen_last_holds(visit):
    page = visit(f"?query_id=video7504&gallery={CLIP}")
    answers = page.evaluate("hublens.answers")
    with held_back(page, lambda: page.select_option(MENU, CE)):
        page.select_option(MENU, CLIP)
        page.wait_for_function("before => hublens.answers > before", arg=answers)
    page.wait_for_function("before => hublens.answers > before + 1", arg=answers)
    wait_results(page, f"gallery={CLIP}&")
    assert page.input_value(MENU) == CLIP
    assert params(page)["gallery"] == CLIP


# ---- links ---------------------------------------------------------------------------------------


def test_a_link_shows_its_model_in_a_fresh_browser(new_page, url, library, doors):
    for each in doors.allowed.values():
        each.set()
    page = new_page()
    page.goto(f"{url}?q=green+cat+at+night&gallery={CE}")
    wait_results(page, "q=green+cat")
    assert page.input_value(MENU) == CE
    assert shown(page) == expected(library, CE, query="green cat at night")
    until_asked(page, "green cat at night")


def test_chips_steps_and_downloads_stay_with_the_model(visit, library):
    page = visit(f"?query_id=video7504&gallery={CE}")
    page.click("#results [data-step='1']")
    wait_results(page, "query_id=video7505")
    assert page.input_value(MENU) == CE
    hrefs = page.locator("#chips a").evaluate_all("all => all.map(a => a.href)")
    assert hrefs and all(f"gallery={CE}" in href for href in hrefs)
    assert f"gallery={CE}" in page.get_attribute("#results a[download]", "href")


# ---- a model that cannot be had ------------------------------------------------------------------


def test_a_model_that_cannot_be_opened_says_so_in_place(visit, library, doors):
    page = visit(f"?query_id=video7504&gallery={CE}")
    before, address = shown(page), page.url
    for _ in range(2):  # the second try begins anew
        page.select_option(MENU, MOEE)
        page.wait_for_selector("#status .hl-failed:has-text('MoEE cannot be shown')")
        told = page.inner_text("#status")
        assert told.endswith("The page stays with CE.")
        assert str(doors.folder) not in page.inner_text("body")
        page.wait_for_function(
            "([menu, ce]) => document.querySelector(menu).value === ce", arg=[MENU, CE]
        )
        assert shown(page) == before and page.url == address
        page.click("#results [data-step='1']")  # the page goes on
        wait_results(page, "query_id=video7505")
        page.go_back()
        wait_results(page, "query_id=video7504")


def test_a_link_to_a_model_that_cannot_be_opened_says_so(new_page, url):
    page = new_page()
    page.goto(f"{url}?gallery={MOEE}")
    page.wait_for_selector("#status .hl-failed:has-text('MoEE cannot be shown')")
    page.select_option(MENU, CLIP)
    page.wait_for_selector(CARD)
    assert page.query_selector("#status .hl-failed") is None


def test_an_encoder_that_cannot_be_loaded_leaves_stored_queries(visit, library, doors):
    page = visit(f"?query_id=video7503&gallery={CE}")  # its clip sounds
    doors.broken = True
    page.select_option(MENU, AUDIO)
    wait_results(page, f"gallery={AUDIO}")
    type_query(page, "red dog runs")
    page.wait_for_selector(".toast-wrap :text('The weights are not here')")
    page.click("#chips li:nth-child(2) a")
    wait_results(page, f"query_id={library.examples(AUDIO, f'{AUDIO}-bank')[1]}")
    doors.broken = False
    type_query(page, "red dog runs")
    wait_results(page, "q=red+dog")


# ---- Why? ----------------------------------------------------------------------------------------


def experts_of(page):
    """Rows of the panel's table: name, cells."""
    rows = page.locator("#why .hl-experts tbody tr").evaluate_all(
        """rows => rows.map(row => [row.querySelector('th').firstChild.textContent.trim(),
            ...[...row.querySelectorAll('td')].map(td => td.textContent.trim())])"""
    )
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize("column", [1, 2])
def test_why_names_the_experts_and_what_they_add_sums_to_the_similarity(visit, library, column):
    engine = library.engine(CE)
    query_id = next(row.id for row in engine.changes().rows if row.active and row.delta)
    page = visit(f"?query_id={query_id}&gallery={CE}")
    for video in shown(page)[column - 1][:4]:
        page.click(f".hl-column:nth-child({column}) [data-id={video}] [data-why]")
        page.wait_for_selector(f"#why .hl-panel[aria-label='Why {video}'] .hl-experts")
        answer = engine.explain(video, query_id=query_id)
        rows = experts_of(page)
        assert set(rows) == {"Sound", "Words on screen", "Frames"}
        added = 0
        for expert in answer.experts:
            told = rows[expert.title.capitalize()]
            if expert.missing:
                assert told == [
                    {
                        "audio": "missing: this clip is silent",
                        "ocr": "missing: no words were read in it",
                    }[expert.name]
                ]
                continue
            assert told[:2] == [f"{100 * expert.weight:.1f} %", f"{expert.sim:.3f}"]
            assert float(told[2]) == pytest.approx(expert.contribution, abs=0.001)
            added += round(1000 * float(told[2]))
        total = page.inner_text("#why .hl-experts tfoot b")
        assert added == round(1000 * float(total))
        assert f"similarity {total} " in page.inner_text("#why")
    table = page.get_by_role("table", name=re.compile("^Its similarity comes from these experts"))
    assert table.count() == 1
    assert page.locator("#why .hl-experts thead th[scope=col]").count() == 4


def test_a_model_without_experts_has_no_table_of_them(visit):
    page = visit(f"?query_id=video7504&gallery={CLIP}")
    page.click(f"{CARD} [data-why]")
    page.wait_for_selector("#why .hl-panel")
    assert page.query_selector("#why .hl-experts") is None


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("gallery", [CE, AUDIO])
def test_axe_finds_nothing_of_ours(visit, theme, gallery):
    page = visit(f"?query_id=video7503&gallery={gallery}")
    page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
    page.click(f"{CARD} [data-why]")
    page.wait_for_selector("#why .hl-experts")
    # What an earlier test was told stays for ten seconds, in Gradio's own markup.
    page.evaluate("document.querySelectorAll('.toast-close').forEach(each => each.click())")
    page.wait_for_selector(".toast-header", state="detached")
    found = axe_findings(page, GRADIO_AXE)
    page.evaluate("document.body.classList.remove('dark')")
    assert found == {}


# ---- sounds --------------------------------------------------------------------------------------


def test_cards_play_sound_and_hide_the_picture_until_it_is_asked_for(new_page, url, library):
    page = new_page()
    page.goto(f"{url}?gallery={AUDIO}")
    page.wait_for_selector(f"{CARD} audio")
    items = library.items(AUDIO)
    assert all(items[video].extras["has_audio"] for video in ids(page))
    page.wait_for_timeout(500)
    assert [each for each in new_page.asked if "/clip/" in each or "/poster/" in each] == []
    assert page.locator(f"{CARD} .hl-play").count() == 0
    assert page.locator(f"{CARD} .hl-caption").count() >= 10
    page.keyboard.press("j")
    page.keyboard.press(" ")
    playing = "n => document.querySelectorAll('#results audio')[n]?.currentTime > 0"
    page.wait_for_function(playing, arg=0)
    page.keyboard.press("j")
    page.keyboard.press(" ")
    page.wait_for_function(playing, arg=1)
    first, second = page.query_selector_all("#results audio")[:2]
    assert first.evaluate("a => a.paused") and not second.evaluate("a => a.muted || a.autoplay")
    cover = page.locator(f"{CARD} .hl-covered").first
    assert cover.locator("img").is_hidden()
    cover.locator("summary").press("Enter")
    page.wait_for_function("document.querySelector('#results .hl-covered img').naturalWidth > 0")
    assert cover.locator(".hl-when-open").is_visible()
    box = cover.bounding_box()
    assert box["width"] / box["height"] == pytest.approx(4 / 3, abs=0.02)


def test_a_silent_clips_query_is_asked_of_sounds_in_words(visit, library):
    silent = next(item for item in library.items(CE).values() if not item.extras["has_audio"])
    page = visit(f"?query_id={silent.id}&gallery={CE}")
    page.select_option(MENU, AUDIO)
    wait_results(page, f"gallery={AUDIO}")
    assert params(page)["q"] == silent.caption
    until_asked(page, silent.caption)
    assert shown(page) == expected(library, AUDIO, query=silent.caption)


def test_a_files_page_plays_sounds_without_scripts(visit, new_page, tmp_path):
    page = visit(f"?gallery={AUDIO}")
    with page.expect_download() as caught:
        page.click("#results a[download]:has-text('HTML')")
    caught.value.save_as(tmp_path / "view.html")
    plain = new_page(java_script_enabled=False, offline=True)
    plain.goto((tmp_path / "view.html").as_uri())
    assert plain.locator(".hl-card audio").count() >= 10
    picture = plain.locator(".hl-covered img").first
    assert picture.is_hidden()
    plain.locator(".hl-covered summary").first.click()
    assert picture.get_attribute("src").startswith("data:image/jpeg") and picture.is_visible()


# ---- everywhere ----------------------------------------------------------------------------------


@pytest.mark.parametrize("gallery", [CE, AUDIO])
def test_on_a_phone_nothing_scrolls_sideways(new_page, url, gallery):
    page = new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{url}?gallery={gallery}")
    page.wait_for_selector(CARD)
    page.click(f"{CARD} [data-why]")
    page.wait_for_selector("#why .hl-experts")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    inside = page.locator("#why .hl-panel").evaluate("e => e.scrollWidth <= e.clientWidth")
    assert inside
    small = page.evaluate(
        """() => [...document.querySelectorAll('[data-menu], .hl-covered summary, .hl-card audio')]
          .filter(e => e.getBoundingClientRect().height < 44).map(e => e.outerHTML.slice(0, 80))"""
    )
    assert small == []


def test_queries_and_hubness_are_drawn_for_every_model(visit, library):
    for gallery in (CE, AUDIO):
        page = visit(f"?gallery={gallery}&tab=queries")
        changes = library.engine(gallery).changes()
        page.wait_for_selector(f"#query-counts:has-text('{changes.helped} helped')")
        page.wait_for_selector("#change-histogram .trace", state="attached")
        page.click("[role=tab]:has-text('Hubness')")
        n_videos = len(library.items(gallery))
        page.wait_for_selector(f"#exposure-told:has-text('of {n_videos} videos')")
        page.wait_for_selector("#bank-curve .trace", state="attached")
        page.wait_for_selector("#beta-curve .trace", state="attached")
        page.click("[role=tab]:has-text('Compare')")


def test_the_api_takes_a_model_by_its_name_or_title(url, library, doors):
    from gradio_client import Client

    for each in doors.allowed.values():
        each.set()
    client = Client(url, verbose=False)
    asked = {"query": "green cat at night", "api_name": "/rank"}
    for called in ("CE", CE):
        answer = client.predict(gallery=called, **asked)
        ranked = [card["id"] for card in answer["rankings"][1]["results"]]
        assert ranked == expected(library, CE, query="green cat at night")[1]
    assert answer["versions"]["encoder"]["name"] == CE


def test_results_and_about_name_the_models(new_page, url):
    page = new_page()
    page.goto(f"{url}results")
    page.wait_for_selector("#results-table tbody tr")
    assert "Small CLIP, CE, MoEE, Text to audio (AR-CE)" in page.inner_text("#results-text")
    page.goto(f"{url}about")
    page.wait_for_selector("#about-rest :text('Its models')")
    assert page.locator("#about-rest pre").count() == len(MODELS)
    assert "python -m retrieval index" in page.inner_text("#about-rest")
