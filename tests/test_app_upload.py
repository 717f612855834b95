"""The tab Upload in a real browser, with the models that come along: a clip among the others."""

import re
import shutil
import threading
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from retrieval.gallery import FILM_LIBRARY, open_gallery
from retrieval.tabs import kept, kept_clips
from retrieval.tabs.library import Library
from retrieval.tabs.models import film_galleries
from tests.page import axe_findings, chromium_or_skip, served, type_query, wait_results

pytestmark = pytest.mark.browser

EXPERTS = ("animations-ce", "animations-moee", "animations-teachtext-ce-plus")
OWN = "#results .hl-card:has(.hl-badge-own)"
GRADIO_AXE = {
    "image-redundant-alt": [r'img\[alt="Settings"\]'],
    "nested-interactive": ["#upload-", "button"],
    "empty-table-header": ["#upload-"],
    "scrollable-region-focusable": [r"\.file-preview"],
}


@pytest.fixture(scope="module")
def library():
    chromium_or_skip()
    return Library.open([FILM_LIBRARY], later=film_galleries())


@pytest.fixture(scope="module")
def url(library):
    with served(library) as address:
        yield address


@pytest.fixture(scope="module")
def films():
    return open_gallery(FILM_LIBRARY)


@pytest.fixture
def brought(films, tmp_path):
    """A clip of the library under another name, and its item."""

    def under(name, sounding=True):
        item = next(item for item in films.items if item.extras["has_audio"] == sounding)
        return shutil.copy(item.clip, tmp_path / name), item

    return under


@pytest.fixture
def visit(new_page, url):
    def open_tab(gallery, **options):
        page = new_page(**options)
        page.set_default_timeout(40_000)
        page.goto(f"{url}?gallery={gallery}&tab=upload")
        page.wait_for_selector("#upload-run")
        wait_results_of(page, gallery)
        return page

    return open_tab


def wait_results_of(page, gallery):
    if gallery == "animations":
        page.wait_for_selector("#results .hl-card", state="attached")
    else:
        page.wait_for_selector(f"#results a[download][href*='gallery={gallery}']", state="attached")


def choose(page, path):
    if page.locator("#upload-file .file-preview").count():
        page.click("#upload-file button[aria-label='Clear']")
    page.set_input_files("#upload-file input[type=file]", path)
    page.wait_for_selector("#upload-file .file-preview")
    page.click("#upload-run")


def add(page, path):
    choose(page, path)
    page.wait_for_selector("#upload-status:has-text('Added in')")
    page.wait_for_function("new URLSearchParams(location.search).has('clip')")
    return parse_qs(urlsplit(page.url).query)["clip"][0]


def refused(page, path):
    choose(page, path)
    page.wait_for_function(
        "document.querySelector('#upload-run').disabled === false && "
        "/video|sound|limit/.test(document.querySelector('#upload-status').innerText)"
    )
    return page.inner_text("#upload-status").strip()


def places(page, column, name):
    """Where a card stands in a column."""
    label = page.get_attribute(
        f".hl-column:nth-child({column}) .hl-card[data-id='{name}']", "aria-label"
    )
    return int(re.match(r"rank (\d+)", label)[1])


def test_a_clip_of_the_library_is_ranked_beside_its_twin_by_every_model(visit, brought, url):
    path, item = brought("my holiday.mp4")
    page = visit(EXPERTS[0])
    clip = add(page, path)
    about = page.inner_text("#upload-about")
    assert "3.0 s, 224 × 168, 12 frames/s, with a sound track" in about
    assert "sound, motion, frames, scene" in about and "Captions of the querybank" in about
    assert "trained on small drawn films" in about
    assert page.locator("#upload-about .hl-fitting section").count() == 2
    assert page.locator("#upload-about .hl-fitting li").count() == 10
    type_query(page, item.caption + " .")
    wait_results(page, "q=a")
    for name in ("animations", *EXPERTS):
        page.select_option("[data-menu]", name)
        page.wait_for_function(
            "name => (new URLSearchParams(location.search).get('gallery') ?? '') === name",
            arg=name,
        )
        wait_results_of(page, name)
        page.wait_for_selector(f"#results a[download][href*='clip={clip}']", state="attached")
        for column in range(1, page.locator(".hl-column").count() + 1):
            mine, twin = (places(page, column, each) for each in ("my holiday.mp4", item.id))
            assert abs(mine - twin) <= 3, (name, column)
    page.click(f"{OWN} .hl-why >> nth=0")
    page.wait_for_selector("#why .hl-experts")
    assert "my holiday.mp4" in page.inner_text("#why h2")
    rows = page.locator("#why .hl-experts tbody tr:not(.hl-missing) td:last-child")
    total = float(page.inner_text("#why .hl-experts tfoot b"))
    assert sum(map(float, rows.all_inner_texts())) == pytest.approx(total, abs=1e-9)
    page.click(f"{OWN} [data-clip] >> nth=0")
    player = page.wait_for_selector(f"{OWN} video")
    page.wait_for_function("video => video.currentTime > 0", arg=player)


def test_it_is_for_one_visitor_and_goes_when_it_is_removed(visit, brought, url, new_page):
    path, _ = brought("mine.mp4")
    page = visit("animations")
    clip = add(page, path)
    view = httpx.get(f"{url}download/view.json?q=a+red+ball&clip={clip}").json()
    assert view["n_gallery"] == 1001
    assert {r["id"]: r["extras"] for r in view["rankings"][0]["results"]}["mine.mp4"]["uploaded"]
    assert httpx.get(f"{url}download/view.json?q=a+red+ball").json()["n_gallery"] == 1000
    still = httpx.get(f"{url}download/clip/{clip}/poster")
    assert still.headers["content-type"] == "image/jpeg" and "private" in str(still.headers)
    for address in (f"download/clip/{clip}/original", "download/clip/../poster", "x" * 24):
        assert httpx.get(url + address).status_code == 404
    page.click("#upload-remove")
    page.wait_for_function("!new URLSearchParams(location.search).has('clip')")
    assert page.inner_text("#upload-about").strip() == ""
    assert httpx.get(f"{url}download/clip/{clip}/poster").status_code == 404
    other = new_page()
    other.goto(f"{url}?q=a+red+ball&clip={clip}")
    other.wait_for_selector(".toast-wrap :text('Your clip was deleted')")
    wait_results(other, "q=a")
    assert other.locator(OWN).count() == 0


def test_a_silent_clip_is_told_to_a_model_that_listens(visit, brought, url):
    path, item = brought("quiet.mp4", sounding=False)
    page = visit("animations-audio")
    told = refused(page, path)
    assert told == "Quiet.mp4 has no sound, and animations-audio compares nothing else"
    page.select_option("[data-menu]", EXPERTS[1])
    wait_results_of(page, EXPERTS[1])
    add(page, path)
    page.select_option("[data-menu]", "animations-audio")
    page.wait_for_selector(".toast-wrap :text('has no sound')")
    wait_results_of(page, "animations-audio")
    assert "clip" not in parse_qs(urlsplit(page.url).query)


def test_what_is_no_video_is_told_in_a_sentence(visit, url, tmp_path):
    page = visit("animations")
    for name, content in (("notes.mp4", b"no video " * 99), ("<img src=x>.mp4", b"\0" * 2000)):
        (tmp_path / name).write_bytes(content)
        told = refused(page, tmp_path / name)
        assert "holds no video we can read" in told and len(told) <= 200 and "/tmp" not in told
    assert page.locator("#upload-status img").count() == 0
    assert httpx.get(url).status_code == 200


class Slow(kept_clips.Arrival):
    """Decodes for as long as nobody cancels it."""

    def _made(self):
        self.step, waited = "Decoding frames", threading.Event()
        for _ in range(600):
            waited.wait(0.1)
            self._say("Decoding frames")


def test_progress_shows_and_can_be_cancelled(visit, brought, monkeypatch):
    monkeypatch.setattr(kept_clips, "Arrival", Slow)
    page = visit("animations")
    choose(page, brought("a.mp4")[0])
    page.wait_for_selector("#upload-status:has-text('Decoding frames')")
    assert page.is_disabled("#upload-run")
    page.click("#upload-cancel")
    page.wait_for_selector("#upload-status:has-text('Cancelled; nothing was added.')")
    page.wait_for_function("!document.querySelector('#upload-run').disabled")


def test_a_clip_that_is_gone_is_left_out_with_a_word(visit, brought, monkeypatch):
    page = visit("animations")
    add(page, brought("mine.mp4")[0])
    monkeypatch.setattr(kept, "KEPT_S", 0.0)
    type_query(page, "a red ball")
    page.wait_for_selector(".toast-wrap :text('Your clip was deleted')")
    wait_results(page, "q=a")
    assert page.locator(OWN).count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_a_phone_and_axe_finds_nothing_of_ours(visit, brought, theme):
    page = visit("animations", color_scheme=theme, viewport={"width": 390, "height": 844})
    add(page, brought("mine.mp4")[0])
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert axe_findings(page, GRADIO_AXE) == {}
