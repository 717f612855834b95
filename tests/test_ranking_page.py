"""Ranking pages: what is sampled and shown, where files lie, and how it looks in a browser."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrieval.__main__ import main
from retrieval.errors import SettingsError
from retrieval.evaluation import evaluate_matrices
from retrieval.metrics import t2v_ranks
from retrieval.reports.ranking_page import BANDS, PageSettings, page_folder, sample, source_folder
from retrieval.reports.ranking_page import write_page as write
from tests.page import EVIL, axe_findings

N_VIDEOS, N_COLUMNS, N_BANK = 12, 3, 40
VIDEOS = [f"video{i}" for i in range(N_VIDEOS - 2)] + ["a b#1?", '"><script>x</script>']


@pytest.fixture
def made(rng):
    """Similarities of twelve videos with three captions each, one missing; reports of them."""
    sims = rng.normal(0, 0.3, (N_VIDEOS * N_COLUMNS, N_VIDEOS)).astype(np.float32)
    sims[:, 0] += 0.4  # a hub
    owner = np.repeat(np.arange(N_VIDEOS), N_COLUMNS)
    sims[np.arange(len(sims)), owner] += 0.3
    bank = rng.normal(0, 0.3, (N_BANK, N_VIDEOS)).astype(np.float32)
    bank[:, 0] += 0.4
    mask = np.ones((N_VIDEOS, N_COLUMNS), dtype=bool)
    mask[4, 2] = False
    t2v = evaluate_matrices(sims, bank, correct=owner, mask=mask, normalisers=["qbnorm"])
    v2t = evaluate_matrices(np.ascontiguousarray(sims.T), correct=owner, direction="v2t", mask=mask)
    return {"t2v": t2v, "v2t": v2t}, sims


def captions(video: str) -> list[list[str]]:
    return [[f"caption {c} of {video}"] for c in range(N_COLUMNS)]


def settings(folder: Path, **more) -> PageSettings:
    return PageSettings(folder, "mini", **more)


def test_fewer_queries_than_wanted_are_all_shown_in_a_fixed_order(made, tmp_path):
    reports, sims = made
    before = np.random.get_state()[1].copy()
    page = sample(settings(tmp_path), reports, sims, VIDEOS, captions)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert page.n_queries == len(page.shown) == N_VIDEOS * N_COLUMNS - 1
    asked = [one.sentences for one in page.shown]
    assert len(set(asked)) == len(asked) and ("caption 2 of video4",) not in asked
    again = sample(settings(tmp_path), reports, sims, VIDEOS, captions)
    assert asked == [one.sentences for one in again.shown] != sorted(asked)
    few = sample(settings(tmp_path, n_samples=7, seed=1), reports, sims, VIDEOS, captions)
    assert len(few.shown) == 7 and few.n_queries == page.n_queries


def test_both_rankings_are_those_of_whole_rows(made, tmp_path):
    reports, sims = made
    row = reports["t2v"]["qbnorm"]
    scores = row.bias.apply(sims)
    page = sample(settings(tmp_path), reports, sims, VIDEOS, captions)
    owner = np.repeat(np.arange(N_VIDEOS), N_COLUMNS)
    raw_ranks, ranks = t2v_ranks(sims, owner), t2v_ranks(scores, owner)
    for one in page.shown:
        found = re.fullmatch(r"caption (\d) of (.*)", one.sentences[0], re.S)
        video = VIDEOS.index(found[2])
        at = video * N_COLUMNS + int(found[1])
        for ranking, whole in zip(one.result.rankings, (sims[at], scores[at]), strict=True):
            order = np.argsort(-whole, kind="stable")[:5]
            assert [card.id for card in ranking.results] == [VIDEOS[i] for i in order]
            assert [card.rank for card in ranking.results] == [1, 2, 3, 4, 5]
            np.testing.assert_array_equal([card.score for card in ranking.results], whole[order])
        truth = one.result.ground_truth
        assert (truth.left_rank, truth.right_rank) == (raw_ranks[at], ranks[at])
        assert (one.truth.id, one.truth.rank, one.truth.score) == (
            *(VIDEOS[video], raw_ranks[at], sims[at, video]),
        )
        assert len(one.others) == N_COLUMNS - 1 and one.sentences[0] not in one.others
    assert any(card.is_hub for one in page.shown for card in one.result.rankings[0].results)


def test_equal_similarities_are_told_and_share_their_mean(tmp_path):
    sims = np.zeros((4, 4), dtype=np.float32)
    reports = {"t2v": evaluate_matrices(sims)}
    page = sample(settings(tmp_path), reports, sims, VIDEOS[:4], captions)
    assert [one.result.ground_truth.left_rank for one in page.shown] == [2.5] * 4
    write(settings(tmp_path), reports, sims, VIDEOS[:4], captions, "made")
    text = (tmp_path / "index.html").read_text()
    assert "rank <b>2.5</b>" in text and "tied with 3 others" in text
    assert sorted(re.findall(r'data-rank-from-0="(\d)"', text)) == ["0", "1", "2", "3"]


def test_the_chart_counts_every_query_once(made, tmp_path):
    reports, sims = made
    page = sample(settings(tmp_path), reports, sims, VIDEOS, captions)
    for spread, row in zip(page.spreads, reports["t2v"].rows, strict=True):
        assert sum(spread.counts) == page.n_queries
        for i, k in enumerate(BANDS):
            assert 100 * sum(spread.counts[: i + 1]) / page.n_queries == pytest.approx(
                row.metrics[f"R@{k}"]
            )


def test_the_page_says_what_the_official_one_says(made, tmp_path):
    reports, sims = made
    path = write(settings(tmp_path), reports, sims, VIDEOS, captions, "Made, test", epoch=7)
    text = path.read_text()
    assert "<title>Experiment name = mini · Hublens</title>" in text and "mini, epoch 7" in text
    assert "35 of 35 queries, drawn with seed 0" in text and "Made, test: 35 queries, 12" in text
    for report, spec in (("t2v", "none"), ("t2v", "qbnorm"), ("v2t", "none")):
        metrics = reports[report][spec].metrics
        for name in ("R@1", "R@5", "R@10", "MdR"):
            assert f"<td>{metrics[name]:.1f}</td>" in text
    assert "Text-to-video is normalised with a bank, 40 rows." in text and "With QB-Norm" in text


def test_without_a_bank_there_is_one_ranking(made, tmp_path):
    _, sims = made
    reports = {"t2v": evaluate_matrices(sims, correct=np.repeat(np.arange(N_VIDEOS), N_COLUMNS))}
    text = write(settings(tmp_path), reports, sims, VIDEOS, captions, "made").read_text()
    assert "QB-Norm" not in text and "no querybank was at hand" in text
    assert text.count('<section class="hl-column"') == 36


def test_a_page_that_hides_the_truth_does_not_tell_it(made, tmp_path):
    reports, sims = made
    path = write(settings(tmp_path, hide_truth=True), reports, sims, VIDEOS, captions, "made")
    body = path.read_text().split("</style>")[1]
    assert body.count("Hidden video") == 35 and "Which video is correct is left out" in body
    for telling in (
        "data-rank-from-0",
        "ground truth",
        "hl-is-truth",
        "other captions",
        "rank <b>",
    ):
        assert telling not in body
    asked = re.findall(r'id="q\d+"><h2>\d+\. “(.*?)”', body)
    assert len(asked) == 35
    assert all(body.count(f"“{text}”") == 1 for text in asked)  # not below its video too


def test_hostile_captions_and_ids_are_text(made, tmp_path):
    reports, sims = made
    text = write(
        settings(tmp_path), reports, sims, VIDEOS, lambda video: [[EVIL]] * 3, "<b>made</b>"
    ).read_text()
    body = text.split("</style>")[1]
    assert "<img src=x" not in body and "<script>x" not in body and "<b>made" not in body
    assert "&lt;img src=x onerror=" in body
    assert body.count("<script>") == 1  # ours, for stills


def test_clips_are_linked_where_they_are(made, tmp_path):
    reports, sims = made
    clips, web = tmp_path / "clips", tmp_path / "web" / "mini"
    clips.mkdir()
    for name in ("video3.mp4", "a b#1?.mp4"):
        (clips / name).write_bytes(b"")
    (tmp_path / "outside.mp4").write_bytes(b"")
    videos = [*VIDEOS[:-1], "../outside"]
    text = write(settings(web, clips=clips), reports, sims, videos, captions, "made").read_text()
    assert (web / "videos").resolve() == clips
    links = set(re.findall(r'class="hl-play" href="([^"]*)"', text))
    assert links == {"videos/video3.mp4", "videos/a%20b%231%3F.mp4"}
    write(settings(web, clips=clips), reports, sims, videos, captions, "made")  # again, over it
    (web / "videos").unlink()
    (web / "videos").mkdir()  # in the way: addresses lead to the folder itself
    text = write(settings(web, clips=clips), reports, sims, videos, captions, "made").read_text()
    assert 'href="../../clips/video3.mp4"' in text


@pytest.mark.parametrize(
    ("named", "dataset", "found"),
    [
        ("data/MSRVTT/videos/all", "MSRVTT", "data/MSRVTT/videos/all"),
        ("data/MSRVTT/videos/all", "MSVD", "data/MSVD/videos"),
        ("data/MSRVTT/videos/all", "ActivityNet", "data/activity-net/videos"),
        ("data/LSMDC/videos", "MSRVTT", "data/MSRVTT/videos/all"),
        ("big/MSRVTT/videos/all", "QuerYDSegments", "big/QuerYDSegments/videos"),
        ("/disk/MSRVTT/videos/all", "YouCook2", "/disk/YouCook2/videos"),
    ],
)
def test_the_videos_folder_follows_the_data_set(named, dataset, found):
    assert source_folder(named, dataset) == Path(found)


def official(folder: Path, **args) -> dict:
    loader = {"dataset_name": "MSRVTT", "data_dir": str(folder / "MSRVTT")}
    visualizer = {"visualizer": {"type": "Visualizer", "args": args}} if args else {}
    return {"data_loader": {"args": loader}} | visualizer


def test_what_a_config_says_of_the_page_holds(tmp_path):
    videos = tmp_path / "MSRVTT" / "videos" / "all"
    videos.mkdir(parents=True)

    def of(**args) -> PageSettings:
        return PageSettings.from_official(official(tmp_path, **args), tmp_path, "x")

    assert (of().n_samples, of().every, of().clips) == (50, None, videos)
    given = of(vis_vid_freq=500, num_samples=100, src_video_dir="nowhere/MSRVTT/videos/all")
    assert (given.n_samples, given.every, given.clips) == (100, 500, videos)
    assert of(vis_vid_freq=0).every == 0 and of(num_samples=0).every == 0
    assert of(num_samples=None).n_samples == of().n_samples == 50
    for wrong in ({"vis_vid_freq": -1}, {"num_samples": "all"}, {"num_samples": True}):
        with pytest.raises(SettingsError, match="must be a whole number from 0"):
            of(**wrong)


def test_a_page_that_is_turned_off_is_not_written(made, tmp_path):
    reports, sims = made
    off = settings(tmp_path / "web", every=0)
    assert write(off, reports, sims, VIDEOS, captions, "made") is None
    assert not (tmp_path / "web").exists()


def test_the_folder_is_laid_out_as_officially(tmp_path):
    found = page_folder(tmp_path, "msrvtt-train-full-ce").relative_to(tmp_path)
    assert re.fullmatch(r"web/msrvtt-train-full-ce/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", str(found))


# ---- in a browser --------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_from_disk_on_a_phone(made, tmp_path, browser, scheme):
    reports, sims = made
    films = PageSettings.of_films(tmp_path, "mini " + "x" * 80)
    names = [f"video{7500 + i}" for i in range(N_VIDEOS - 1)] + [VIDEOS[-1]]
    told = [[EVIL, "w" * 90], ["a caption"], [EVIL]]
    path = write(replace(films, n_samples=6), reports, sims, names, lambda video: told, "made")
    assert path.stat().st_size < 200_000
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page, asked, thrown = context.new_page(), [], []
    page.set_default_timeout(90_000)
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: thrown.append(str(error)))
    page.goto(path.as_uri())
    assert page.title().startswith("Experiment name = mini")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 22, 31)"
    assert dark == (scheme == "dark")
    assert page.locator("video").count() == 0
    page.locator(".hl-play[href='videos/video7500.mp4']").first.click()
    clip = page.locator("video[controls]")
    clip.evaluate("video => new Promise((done) => { video.ontimeupdate = done })")
    assert clip.evaluate("video => video.duration") == pytest.approx(3, abs=0.2)
    assert axe_findings(page, {}) == {}
    assert thrown == [] and {url.split(":")[0] for url in asked} == {"file"}
    context.close()


# ---- after an evaluation -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "split", "args", "n_pages"),
    [
        ("MSVD", "dev", None, 1),  # five captions a video, of which one lacks one
        ("DiDeMo", "val", {"vis_vid_freq": 1000, "num_samples": 3}, 1),  # fused captions
        ("MSRVTT", "jsfusion", {"vis_vid_freq": 1, "num_samples": 1000}, 1),
        ("LSMDC", "full-val", {"vis_vid_freq": 0, "num_samples": 1}, 0),
    ],
)
def test_every_evaluation_writes_its_page(
    tmp_path, monkeypatch, capsys, name, split, args, n_pages
):
    pytest.importorskip("torch")
    from test_official_runs import made_config

    from retrieval.models import config as model_config

    monkeypatch.setitem(model_config.TEXT_DIMS, "openai", 7)
    more = {} if args is None else {"visualizer": {"type": "Visualizer", "args": args}}
    config, out = made_config(tmp_path, name, split, **more), tmp_path / "out"
    assert main(["train", str(config), "--out", str(out), "--device", "cpu"]) == 0
    pages = list(out.glob("web/configs-mini/seed-0/*/index.html"))
    assert len(pages) == n_pages
    result = json.loads((out / "seed-0" / "result.json").read_text())
    resume = str(out / "seed-0" / "trained_model.pth")
    again = ["evaluate", str(config), "--resume", resume, "--out", str(out), "--device", "cpu"]
    capsys.readouterr()
    assert main(again) == 0
    pages += list(out.glob("web/configs-mini/2*/index.html"))
    assert len(pages) == 2 * n_pages
    assert ("Ranking page: " in capsys.readouterr().out) == bool(n_pages)
    n_queries = result["t2v"]["n_queries"]
    n = min(n_queries, 50 if args is None else args["num_samples"])
    for page in pages:
        text = page.read_text()
        assert f"{n} of {n_queries} queries" in text and f"epoch {result['epoch']}<" in text
        assert f"<td>{result['t2v']['metrics']['none']['Geom']:.1f}</td>" in text
        assert text.count("data-rank-from-0=") == n
    assert main([*again, "--no-page"]) == 0


def test_pages_while_training_are_of_their_epochs(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from test_official_runs import made_config

    from retrieval.models import config as model_config
    from retrieval.official import runs

    monkeypatch.setitem(model_config.TEXT_DIMS, "openai", 7)
    config = json.loads(made_config(tmp_path, "MSRVTT", "full-val").read_text())
    page = PageSettings(tmp_path / "web", "x", every=2)
    written = []

    def watched(*args) -> None:
        written.append(args[-1])

    monkeypatch.setattr(runs, "write_page", watched)
    runs.train(config, 0, tmp_path / "run", epochs=5, page=page, keep_sims=False)
    best = json.loads((tmp_path / "run" / "result.json").read_text())["epoch"]
    assert written == [2, 4, best]


def test_a_gallery_has_its_page_too(tmp_path, capsys):
    library = Path(__file__).resolve().parents[1] / "precomputed" / "animations-audio"
    command = ["evaluate", "--gallery", str(library), "--normaliser", "qbnorm"]
    report = tmp_path / "report.json"
    assert main([*command, "--out", str(tmp_path), "--json", str(report)]) == 0
    printed = capsys.readouterr().out
    assert "animations-audio, text-to-audio: 651 queries" in printed
    (path,) = tmp_path.glob("web/animations-audio/*/index.html")
    assert f"Ranking page: {path}" in printed
    text = path.read_text()
    metrics = json.loads(report.read_text())["metrics"]["qbnorm"]
    assert f"<td>{metrics['MnR']:.1f}</td>" in text and "50 of 651 queries" in text
    assert "Text to audio, QB-Norm" in text and "651 clips that are heard" in text
    assert "Text-to-audio is normalised with animations-audio-bank, 5,000 rows." in text
    clips = re.findall(r'<audio[^>]* src="([^"]*)"', text)
    assert len(set(clips)) > 50 and all((path.parent / clip).is_file() for clip in clips)
    assert main([*command, "--out", str(tmp_path / "none"), "--no-page"]) == 0
    assert not (tmp_path / "none").exists()


def test_each_caption_of_a_gallery_asks_for_its_own_video(tmp_path):
    from retrieval.gallery import open_gallery
    from retrieval.reports.gallery_page import write_gallery_page

    gallery = open_gallery(Path(__file__).resolve().parents[1] / "precomputed" / "animations")
    from retrieval.evaluation import evaluate

    report = evaluate(gallery, None, ())
    path = write_gallery_page(settings(tmp_path, n_samples=5), report, gallery)
    text = path.read_text()
    asked = re.findall(r'data-rank-from-0="([\d.]+)"><h2>\d+\. “([^”]*)”', text)
    assert len(asked) == 5
    for rank, sentence in asked:
        row = gallery.queries.texts.index(sentence)
        assert float(rank) + 1 == report.rows[0].ranks[row]


def test_a_page_that_cannot_be_written_loses_no_figure(made, tmp_path, capsys):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("x")
    library = Path(__file__).resolve().parents[1] / "precomputed" / "animations-audio"
    command = ["evaluate", "--gallery", str(library), "--normaliser", "qbnorm"]
    report = tmp_path / "report.json"
    assert main([*command, "--out", str(in_the_way), "--json", str(report)]) == 2
    printed = capsys.readouterr()
    assert "QB-Norm" in printed.out and report.is_file()
    assert "error: the ranking page cannot be written to" in printed.err
    assert "Not a directory; give another folder with --out, or --no-page" in printed.err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["animations-ce", "--gallery", "g"], "give either a config or recipe, or --gallery"),
        (["--resume", "x.pth"], "--resume is for configs and recipes; leave it out"),
        (["animations-ce", "--bank-size", "5"], "--bank-size is for galleries; leave it out"),
        (["nothing", "--resume", "x.pth"], "unknown recipe 'nothing'; available: animations-ce,"),
    ],
)
def test_options_of_the_other_kind_are_refused(capsys, argv, message):
    assert main(["evaluate", *argv]) == 2
    assert message in capsys.readouterr().err
