"""The tab Matrices in a real browser: bring, examine, read, take away."""

import csv
import io
import json
import threading
from pathlib import Path

import httpx
import numpy as np
import pytest

from retrieval.evaluation import evaluate_matrices
from retrieval.normalisers import title_of
from retrieval.tabs import kept, kept_reports
from retrieval.tabs.matrices import FIRST_CHOICE
from retrieval.tabs.matrix_report import ORDERS, PAGE
from tests.page import axe_findings, chromium_or_skip, film_library, served

pytestmark = pytest.mark.browser

N_QUERIES, N_ITEMS, N_BANK = 120, 60, 150
ROWS = "#matrix-table tbody tr"
HOSTILE = "<img src=x onerror=document.title='owned'>.npy"
GRADIO_AXE = {
    "image-redundant-alt": [r'img\[alt="Settings"\]'],
    # Gradio's field for a file is a button around an input, and its preview a table.
    "nested-interactive": ["#matrix-", "button"],
    "empty-table-header": ["#matrix-"],
    "scrollable-region-focusable": [r"\.file-preview"],
}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    chromium_or_skip()
    with served(film_library(tmp_path_factory.mktemp("matrices"))) as address:
        yield address


@pytest.fixture(scope="module")
def brought(tmp_path_factory):
    """S and B with hubs, two captions a video; the name of S tries to run."""
    folder = tmp_path_factory.mktemp("brought")
    rng = np.random.default_rng(5)
    video_emb = rng.standard_normal((N_ITEMS, 10))
    text_emb = np.repeat(video_emb, 2, axis=0) + 0.9 * rng.standard_normal((N_QUERIES, 10))
    bank_emb = rng.standard_normal((N_BANK, 10)) + 0.5
    video_emb[:3] += 1.5
    paths = folder / HOSTILE, folder / "B.npz"
    sims, bank_sims = (text_emb @ video_emb.T).astype("f4"), (bank_emb @ video_emb.T).astype("f4")
    np.save(paths[0], sims)
    np.savez(paths[1], bank=bank_sims)
    return sims, bank_sims, paths


def opened(page, url):
    page.goto(f"{url}?tab=matrices")
    page.wait_for_selector("#matrix-run")
    return page


def bring(page, sims, bank=None):
    for elem_id, path in (("matrix-sims", sims), ("matrix-bank", bank)):
        if path is None:
            continue
        name = Path(path).name
        page.set_input_files(f"#{elem_id} input[type=file]", path)
        page.wait_for_selector(f"#{elem_id} .file-preview")
        assert name.rsplit(".", 1)[1] in page.inner_text(f"#{elem_id} .file-preview")


def examine(page):
    page.click("#matrix-run")
    page.wait_for_selector("#matrix-status:has-text('Examined in')")
    page.wait_for_selector("#matrix-by-bank .trace", state="attached")
    return page


def ranks_on_screen(page):
    return [
        text.split("\n")[0] for text in page.locator(f"{ROWS} td:first-child").all_inner_texts()
    ]


def wait_ranks(page, expected):
    page.wait_for_function(
        """texts => JSON.stringify(texts) === JSON.stringify(
            [...document.querySelectorAll('#matrix-table td:first-child')].map(
                cell => cell.textContent))""",
        arg=expected,
    )


def expected_ranks(report, spec, order=None, kind="all"):
    """First cells of the table, in its order."""
    before, after = report["none"].ranks, report[spec].ranks
    kept = {"all": before > 0, "helped": after < before, "hurt": after > before}[kind]
    rows = np.flatnonzero(kept)
    keys = ORDERS[order or next(iter(ORDERS))](before[rows], after[rows])
    rows = rows[np.argsort(keys, kind="stable")]
    return [f"{before[row]:g} → {after[row]:g}" for row in rows]


def test_matrices_are_brought_examined_and_read(new_page, url, brought):
    sims, bank_sims, paths = brought
    page = opened(new_page(), url)
    bring(page, *paths)
    examine(page)
    report = evaluate_matrices(sims, bank_sims, normalisers=FIRST_CHOICE)
    told = page.inner_text("#matrix-report")
    assert report.verdict in told
    assert f"{N_QUERIES} queries, {N_ITEMS} items" in told and f"{N_BANK} rows" in told
    for row in report.rows:
        line = page.locator("[aria-label=Metrics] tbody tr", has_text=title_of(row.spec)).first
        text = line.inner_text()
        assert f"{row.metrics['R@1']:.1f}" in text
        low, high = row.intervals["R@1"]
        assert f"{low:.1f} to {high:.1f}" in text
        if row.spec != "none":
            assert f"{row.helped} helped" in text and f"{row.hurt} hurt" in text
    chance = report.rows[0].hubness[10].chance
    by_chance = page.locator("[aria-label=Hubness] tbody tr").last.inner_text()
    assert f"{chance.k_skewness:.2f}" in by_chance and f"{chance.largest_hub:,.0f}" in by_chance
    for table in page.locator("#matrix-report .hl-wide").all():
        assert table.evaluate("e => e.scrollWidth <= e.clientWidth"), table.inner_text()

    # Names of files are text, wherever they stand.
    assert "owned" not in page.title()
    assert page.locator("#matrix-report img, #matrix-sims .file-preview img").count() == 0
    for chart in ("ranks", "changes", "exposure", "by-beta", "by-bank"):
        page.wait_for_selector(f"#matrix-{chart} .trace, #matrix-{chart} .hm", state="attached")
        assert page.inner_text(f"#matrix-{chart}-told .hl-summary").endswith(".")

    # The table is one page long, filtered and sorted on the server.
    spec = page.input_value("#matrix-spec input")
    shown = next(row.spec for row in report.rows if title_of(row.spec) == spec)
    wait_ranks(page, expected_ranks(report, shown)[:PAGE])
    page.click("#matrix-on")
    wait_ranks(page, expected_ranks(report, shown)[PAGE : 2 * PAGE])
    page.click("#matrix-kind label:has-text('hurt')")
    wait_ranks(page, expected_ranks(report, shown, kind="hurt")[:PAGE])
    page.click("#matrix-kind label:has-text('all')")
    page.click("#matrix-order input")
    page.click("[role=option]:has-text('largest loss')")
    wait_ranks(page, expected_ranks(report, shown, "largest loss")[:PAGE])
    page.fill("#matrix-filter textarea, #matrix-filter input", "v7")
    page.wait_for_selector("#matrix-table:has-text('1 to 2 of 2 queries')")
    page.fill("#matrix-filter textarea, #matrix-filter input", "nothing")
    page.wait_for_selector("#matrix-table:has-text('No query passes this filter.')")
    page.fill("#matrix-filter textarea, #matrix-filter input", "")
    page.click("#matrix-spec input")
    page.click("[role=option]:has-text('Inverted softmax')")
    wait_ranks(page, expected_ranks(report, "inverted_softmax", "largest loss")[:PAGE])
    page.wait_for_selector("#matrix-ranks text.ytitle:has-text('Inverted softmax')")

    # What is taken away holds the same numbers.
    with page.expect_download() as caught:
        page.click("#matrix-report a:has-text('JSON')")
    saved = json.loads(Path(caught.value.path()).read_text(encoding="utf-8"))
    assert saved["metrics"] == report.to_dict()["metrics"]
    with page.expect_download() as caught:
        page.click("#matrix-report a:has-text('CSV')")
    rows = list(csv.DictReader(io.StringIO(Path(caught.value.path()).read_text("utf-8"))))
    assert [float(row["rank csls"]) for row in rows] == report["csls"].ranks.tolist()
    assert page.get_attribute("#matrix-report a:has-text('TREC')", "href").endswith(".zip")


def test_the_example_can_be_tried_without_a_mouse(new_page, url):
    page = opened(new_page(), url)
    page.focus("#matrix-example")
    page.keyboard.press("Enter")
    page.wait_for_selector("#matrix-status:has-text('Press Examine')")
    page.focus("#matrix-run")
    page.keyboard.press("Enter")
    page.wait_for_selector("#matrix-report:has-text('example-S.npy: 40 queries, 40 items')")
    assert "Deleted within the hour" in page.inner_text("#matrix-report")
    assert page.inner_text("#matrix-status [aria-live=polite]").startswith("Examined in")


def test_a_refusal_is_one_sentence_and_the_earlier_report_stays(new_page, url, brought, tmp_path):
    page = opened(new_page(), url)
    page.click("#matrix-run")
    page.wait_for_selector("#matrix-status:has-text('Bring the similarities S first')")
    bring(page, brought[2][0])
    page.click("#matrix-run")
    page.wait_for_selector("#matrix-report:has-text('no bank')")
    earlier = page.inner_text("#matrix-report")
    (tmp_path / "page.npy").write_bytes(b"<!doctype html><title>no</title>" * 50)
    page.click("#matrix-sims button[aria-label*='lear'], #matrix-sims button[aria-label*='emove']")
    page.wait_for_selector("#matrix-sims input[type=file]", state="attached")
    bring(page, tmp_path / "page.npy")
    page.click("#matrix-run")
    page.wait_for_selector("#matrix-status:has-text('page.npy')")
    told = page.inner_text("#matrix-status")
    assert len(told) <= 220 and "\n" not in told.strip() and "/tmp" not in told
    assert page.inner_text("#matrix-report") == earlier
    assert page.is_enabled("#matrix-run") and page.is_disabled("#matrix-cancel")


class Slow(kept_reports.Examination):
    """Counts for as long as nobody cancels it."""

    started = threading.Event()

    def progress(self):
        done = 0
        while not self.cancelled and done < 600:
            done += 1
            yield "Ranking queries:", done, 600
            self.started.set()
            threading.Event().wait(0.1)
        return (yield from super().progress())


def test_progress_counts_and_can_be_cancelled(new_page, url, brought, monkeypatch):
    monkeypatch.setattr(kept_reports, "Examination", Slow)
    page = opened(new_page(), url)
    bring(page, brought[2][0])
    page.click("#matrix-run")
    page.wait_for_selector("#matrix-status:has-text('of 600')")
    assert page.is_disabled("#matrix-run")
    page.click("#matrix-cancel")
    page.wait_for_selector("#matrix-status:has-text('ancelled')")
    page.wait_for_function("!document.querySelector('#matrix-run').disabled")
    assert page.inner_text("#matrix-report").strip() == ""


def test_a_report_that_is_gone_says_so(new_page, url, brought, monkeypatch):
    page = opened(new_page(), url)
    bring(page, *brought[2])
    examine(page)
    link = page.get_attribute("#matrix-report a:has-text('JSON')", "href")
    assert httpx.get(url + link).status_code == 200
    assert httpx.get(url + "download/matrices/none-such.json").status_code == 404
    monkeypatch.setattr(kept, "KEPT_S", 0.0)
    page.click("#matrix-kind label:has-text('helped')")
    page.wait_for_selector(".toast-wrap :text('This report was deleted')")
    assert httpx.get(url + link).status_code == 404


def test_nothing_of_it_is_loaded_before_it_is_opened(new_page, url):
    visitors = new_page
    page = visitors()
    page.goto(url)
    page.wait_for_selector("#results .hl-card")
    assert page.locator("#matrix-run").count() == 0
    assert not any("plotly" in each.lower() for each in visitors.asked)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_of_ours(new_page, url, brought, theme):
    page = opened(new_page(color_scheme=theme), url)
    bring(page, *brought[2])
    examine(page)
    page.click("#matrix-more button")
    page.wait_for_selector("#matrix-direction")
    assert axe_findings(page, GRADIO_AXE) == {}


def test_on_a_phone_all_fits_and_can_be_touched(new_page, url, brought):
    page = opened(new_page(viewport={"width": 390, "height": 844}), url)
    bring(page, *brought[2])
    examine(page)
    page.click("#matrix-more button")
    page.wait_for_selector("#matrix-direction")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    wide = page.evaluate(
        """() => [...document.querySelectorAll('[role=tabpanel] *')].filter((e) => {
        const box = e.getBoundingClientRect();
        return box.width && (box.right > 391 || box.left < -1)
          && !e.closest('svg, thead, .hl-wide, .hl-words, .hl-data'); })
        .map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert wide == []
    touched = "#matrix-run, #matrix-example, #matrix-report a.hl-button, #matrix-kind label"
    heights = page.locator(touched).evaluate_all("all => all.map(e => e.offsetHeight)")
    assert len(heights) >= 8 and min(heights) >= 44
