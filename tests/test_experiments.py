"""Recipes: every row of the tables on a miniature of the film library, teachers, masks, tables."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from made_trees import make_film_tree  # noqa: E402

from retrieval import experiments  # noqa: E402
from retrieval.__main__ import main  # noqa: E402
from retrieval.datasets.features import read_dict  # noqa: E402
from retrieval.encoders.trained import from_checkpoint  # noqa: E402
from retrieval.errors import FileError, ModelError, QueryError, SettingsError  # noqa: E402
from retrieval.experiments import RESULT, run, taught  # noqa: E402
from retrieval.metrics import summarise, t2v_ranks  # noqa: E402
from retrieval.training.distilling import (  # noqa: E402
    caption_ranks,
    denoising_mask,
    read_masks,
    read_teacher,
    taught_by,
    write_masks,
)
from retrieval.training.expert_clips import similarities  # noqa: E402
from retrieval.training.expert_recipes import (  # noqa: E402
    EXPERT_RECIPES,
    TABLES,
    TEACHERS,
    get_expert_recipe,
    in_order,
    waits_for,
)
from retrieval.training.experts_trainer import BEST, trained  # noqa: E402
from retrieval.training.feature_library import FeatureLibrary  # noqa: E402
from retrieval.training.teachers import teacher_vectors, write_teacher  # noqa: E402

torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> FeatureLibrary:
    """A made tree of 24 training and 9 validation clips; the test clips are those of validation."""
    folder = tmp_path_factory.mktemp("tree")
    return FeatureLibrary(make_film_tree(folder, n_train=24, n_val=9))


@pytest.fixture(scope="module")
def runs(tmp_path_factory, library):
    """Where teachers have been trained."""
    out = tmp_path_factory.mktemp("runs")
    for teacher in TEACHERS:
        run(teacher, 0, library, out, epochs=2, save_every=0, keep_sims=False)
    return out


# ---- the table of recipes ------------------------------------------------------------------------


def test_every_row_of_the_tables_has_a_recipe_and_every_recipe_a_row():
    rows = {name for rows in TABLES.values() for name in rows.values()}
    assert rows == set(EXPERT_RECIPES)
    with pytest.raises(SettingsError, match="unknown recipe 'ce'; available: animations-ce,"):
        get_expert_recipe("ce")


def test_teachers_come_before_those_they_teach():
    order = in_order()
    assert sorted(order) == sorted(EXPERT_RECIPES)
    assert set(order[:3]) == set(TEACHERS)
    for place, name in enumerate(order):
        assert all(order.index(teacher) < place for teacher in waits_for(name))


@pytest.mark.parametrize("name", sorted(EXPERT_RECIPES))
def test_every_recipe_trains_and_is_tested(library, runs, name):
    found = run(name, 0, library, runs, epochs=2, save_every=0, keep_sims=False)
    assert np.isfinite(found["t2v"]["metrics"]["qbnorm"]["R@1"])
    assert found["t2v"]["n_bank"] >= found["n_train"]
    assert np.isfinite(found["v2t"]["metrics"]["qbnorm"]["R@1"])
    assert found["v2t"]["direction"] == "v2t" and found["v2t"]["n_bank"] == found["n_train"]
    assert json.loads((runs / name / "seed-0" / RESULT).read_text()) == found
    assert run(name, 0, library, runs, epochs=2) == found  # it is not made again


# ---- one run -------------------------------------------------------------------------------------


def test_what_is_kept_gives_the_same_figures_again(tmp_path, library):
    found = run("animations-moee", 1, library, tmp_path, epochs=2)
    folder = tmp_path / "animations-moee" / "seed-1"
    sims, there = np.load(folder / "sims.npy"), np.load(folder / "mask.npy")
    assert sims.shape == (9 * 20, 9) and there.sum() == 9 * 20 - 1  # one has a caption less
    ranks = t2v_ranks(sims, mask=there)
    assert summarise(ranks) == found["t2v"]["metrics"]["none"]
    assert np.load(folder / "bank_sims.npy").shape == (24 * 20, 9)
    recipe = get_expert_recipe("animations-moee")
    test = library.clips(recipe, "test")
    model = trained(folder / BEST)
    captions, _ = test.asked(20)
    np.testing.assert_allclose(
        similarities(model, test, captions.ravel(), test), sims, atol=1e-5, rtol=0
    )


def test_without_a_bank_the_raw_figures_are_the_same(library, runs):
    resume = runs / TEACHERS[0] / "seed-0" / BEST
    with_bank, without = (
        experiments.evaluate(TEACHERS[0], resume, library, with_bank=each).reports
        for each in (True, False)
    )
    for direction in ("t2v", "v2t"):
        assert without[direction].bank is None and with_bank[direction].bank is not None
        assert without[direction]["none"].metrics == with_bank[direction]["none"].metrics


def test_runs_of_another_version_are_not_mixed_in(tmp_path, library):
    run("animations-concat", 0, library, tmp_path, epochs=1, keep_sims=False)
    with pytest.raises(ModelError, match="another version of the recipe"):
        run("animations-concat", 0, library, tmp_path, epochs=2)


def test_clips_that_lack_the_only_expert_are_left_out(library):
    recipe = get_expert_recipe("animations-audio")
    clips = library.clips(recipe, "train")
    assert clips.videos == tuple(f"video{i}" for i in range(24) if i % 3 != 1)
    assert clips.available["audio"].all()


def test_seeds_are_put_together_as_mean_and_deviation():
    rows = [
        {
            "t2v": {"metrics": {"none": {"R@1": r}, "qbnorm": {"R@1": r + 1}}},
            "v2t": {"metrics": {"none": {"R@1": 2 * r}}},
        }
        for r in (1.0, 2.0, 3.0)
    ]
    assert experiments.figures_over_seeds(rows) == {
        "t2v": {"R@1": (2.0, 1.0)},
        "t2v qbnorm": {"R@1": (3.0, 1.0)},
        "v2t": {"R@1": (4.0, 2.0)},
    }


# ---- teachers ------------------------------------------------------------------------------------


def test_a_teachers_vectors_give_its_similarities_where_no_expert_is_missing(library, runs):
    recipe = get_expert_recipe(TEACHERS[0])
    model = trained(runs / TEACHERS[0] / "seed-0" / BEST)
    clips = library.clips(recipe, "train")
    said = taught(TEACHERS[0], library, runs)
    captions = np.arange(len(clips.captions))
    sims = similarities(model, clips, captions, clips)
    by_vectors = said.text.float() @ said.video.float().T
    whole = np.all([flags.numpy() > 0 for flags in clips.available.values()], axis=0)
    assert 0 < whole.sum() < len(clips)
    np.testing.assert_allclose(by_vectors[:, whole], sims[:, whole], atol=2e-3)
    assert not np.allclose(by_vectors[:, ~whole], sims[:, ~whole], atol=2e-3)


def test_a_teachers_file_is_read_as_it_was_written_and_as_the_official_loader_takes_it(
    tmp_path, library, runs
):
    recipe = get_expert_recipe(TEACHERS[0])
    clips = library.clips(recipe, "train")
    said = taught(TEACHERS[0], library, runs)
    model = trained(runs / TEACHERS[0] / "seed-0" / BEST)
    write_teacher(tmp_path / "t.pkl", teacher_vectors(model, clips, half=True))
    stored = read_dict(tmp_path / "t.pkl")
    assert list(stored) == list(clips.videos)
    one = stored["video3"]
    assert one["vid_embds"]["ocr"].shape == (128,) and one["text_embds"]["ocr"].shape == (20, 128)
    for weighted, share in ((True, 1), (False, 1 / 6)):
        again = read_teacher(stored, clips, weighted)
        np.testing.assert_allclose(again.video, said.video.float(), atol=1e-3)
        np.testing.assert_allclose(again.text, share * said.text.float(), atol=1e-3)
    del stored["video5"]
    with pytest.raises(FileError, match="does not know video video5"):
        read_teacher(stored, clips)
    stored["video5"] = {**one, "text_embds": {e: v[:3] for e, v in one["text_embds"].items()}}
    with pytest.raises(FileError, match="3 captions of video video5, the text features have 20"):
        read_teacher(stored, clips)
    for said in ("vid_embds", "text_embds"):
        for wrong in (None, "words", [[1.0], [1.0, 2.0]], np.full((20, 128), np.nan), np.empty(0)):
            stored["video5"] = {**one, said: {**one[said], "ocr": wrong}}
            with pytest.raises(FileError, match="video video5 are not made of finite numbers"):
                read_teacher(stored, clips)
    less = {name: {e: v for e, v in held.items() if e != "ocr"} for name, held in one.items()}
    stored["video5"] = less
    with pytest.raises(FileError, match="of video video5 have 640 numbers, those before have 768"):
        read_teacher(stored, clips)


def test_networks_without_an_embedding_for_each_expert_cannot_teach(library):
    recipe = get_expert_recipe("animations-concat")
    clips = library.clips(recipe, "train")
    model = experiments.seeded(library.model(recipe), 0)
    with pytest.raises(SettingsError, match="embedding for each expert"):
        taught_by(model, clips)


def test_captions_stay_where_teachers_find_their_video(tmp_path, library, runs):
    clips = library.clips(get_expert_recipe(TEACHERS[0]), "train")
    teachers = [taught(teacher, library, runs) for teacher in TEACHERS]
    ranks = [caption_ranks(said, clips, chunk=100) for said in teachers]
    owner = np.repeat(np.arange(24), np.diff(clips.first))
    for said, found in zip(teachers, ranks, strict=True):
        sims = (said.text.float() @ said.video.float().T).numpy()
        np.testing.assert_allclose(found, t2v_ranks(sims, owner))
    median = np.median(ranks, axis=0)
    for worst in (3, 12):
        mask = denoising_mask(teachers, clips, worst)
        assert mask[median <= worst].all()
        for video in range(24):
            own = np.flatnonzero(owner == video)
            assert mask[own].any()
            beyond = own[mask[own] & (median[own] > worst)]
            assert (median[beyond] == median[own].min()).all()
    write_masks(tmp_path / "m.pkl", mask, clips.videos, clips.first)
    np.testing.assert_array_equal(read_masks(read_dict(tmp_path / "m.pkl"), clips), mask)
    short = replace(clips, videos=("stranger", *clips.videos[1:]))
    with pytest.raises(FileError, match="caption mask of video stranger has 0 elements for 20"):
        read_masks(read_dict(tmp_path / "m.pkl"), short)
    with pytest.raises(FileError, match="caption mask of video stranger is made of <U1, expected"):
        read_masks({"stranger": ["a"] * 20}, short)


# ---- served --------------------------------------------------------------------------------------


class Stored:
    """Gives the tokens of the training captions by their number."""

    name = "words"

    def __init__(self, clips):
        self.captions = clips.captions

    def encode_all(self, captions):
        starts = self.captions.starts
        return [
            self.captions.rows[starts[i] : starts[i + 1]].numpy() if i >= 0 else np.zeros((0, 7))
            for i in map(int, captions)
        ]


def test_an_encoder_of_typed_sentences_has_the_networks_own_similarities(library, runs):
    recipe = get_expert_recipe("animations-ce")
    clips, test = library.clips(recipe, "train"), library.clips(recipe, "test")
    checkpoint = runs / "animations-ce" / "seed-0" / BEST
    encoder = from_checkpoint(checkpoint, Stored(clips))
    space = encoder.space
    text = space.checked(encoder.encode_text(["3", "71", "9"]), "text")
    video = space.checked(encoder.encode_clips(test), "video")
    sims = space.rows(text, space.items(video)).read_rows(0, 3)
    expected = similarities(trained(checkpoint), clips, np.array([3, 71, 9]), test)
    np.testing.assert_allclose(sims, expected, atol=1e-5)
    np.testing.assert_allclose(space.tiles(text, video).matrix(), expected, atol=1e-5)
    for column in range(len(test)):
        weights, shares = space.shares(text[1], video[column])
        assert weights.sum() == pytest.approx(1)
        assert weights @ shares == pytest.approx(expected[1, column], abs=1e-5)
        there = {e for e, there in test.available.items() if there[column]}
        assert {e for e, weight in zip(space.experts, weights, strict=True) if weight} == there
    with pytest.raises(QueryError, match="no word of '-1' is known"):
        encoder.encode_text(["-1"])
    with pytest.raises(ModelError, match="compares expert features of a video, not its frames"):
        encoder.encode_videos([np.zeros((1, 4, 4, 3), np.uint8)])


def test_encoders_of_other_tokens_or_without_embeddings_are_refused(library, runs):
    stored = Stored(library.clips(get_expert_recipe("animations-ce"), "train"))
    for name, message in (
        ("animations-ce-letters", "trained on the text feature letters, got words"),
        ("animations-concat", "no embedding for each expert"),
    ):
        run(name, 0, library, runs, epochs=2, save_every=0, keep_sims=False)
        with pytest.raises(ModelError, match=message):
            from_checkpoint(runs / name / "seed-0" / BEST, stored)


# ---- commands ------------------------------------------------------------------------------------


def test_the_command_trains_every_seed_and_prints_their_mean(tmp_path, library, capsys):
    command = ["train", "animations-only-rgb", "--data", str(library.root), "--seeds", "0,1"]
    command += ["--epochs", "2", "--out", str(tmp_path), "--device", "cpu", "--sims"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "animations-only-rgb, seed 1, epoch 2: loss" in printed
    found = [
        json.loads((tmp_path / "animations-only-rgb" / f"seed-{seed}" / RESULT).read_text())
        for seed in (0, 1)
    ]
    r1 = [each["t2v"]["metrics"]["qbnorm"]["R@1"] for each in found]
    assert f"{np.mean(r1):.1f} ({np.std(r1, ddof=1):.1f})" in printed.split("t2v qbnorm")[1]
    folder = tmp_path / "animations-only-rgb" / "seed-1"
    (page,) = tmp_path.glob("web/animations-only-rgb/seed-1/*/index.html")
    assert f"<td>{r1[1]:.1f}</td>" in page.read_text()
    files = ["normalise", "--sims", str(folder / "sims.npy"), "--masks", str(folder / "mask.npy")]
    assert main([*files, "--bank-sims", str(folder / "bank_sims.npy")]) == 0  # ready as they are
    assert f"{r1[1]:.1f}" in capsys.readouterr().out


def test_a_run_is_evaluated_again_by_its_recipe(tmp_path, library, capsys):
    name = "animations-only-rgb"
    found = run(name, 0, library, tmp_path, epochs=1)
    resume = ["--resume", str(tmp_path / name / "seed-0" / BEST), "--device", "cpu"]
    data = ["--data", str(library.root)]
    report, again = tmp_path / "report.json", tmp_path / "again"
    command = ["evaluate", name, *resume, *data, "--json", str(report), "--sims", str(again)]
    assert main([*command, "--out", str(tmp_path)]) == 0
    assert json.loads(report.read_text()) == {way: found[way] for way in ("t2v", "v2t")}
    sims, first = (np.load(p / "sims.npy") for p in (again, tmp_path / name / "seed-0"))
    np.testing.assert_array_equal(sims, first)
    assert len(list(tmp_path.glob(f"web/{name}/*/index.html"))) == 1
    assert main(["evaluate", "animations-ce", *resume, *data]) == 2
    assert f"was trained by {name}, not by animations-ce" in capsys.readouterr().err
    assert main(["evaluate", name, *resume]) == 2
    assert "--data is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--data is missing"),
        (["--data", "DATA", "--seeds", "a"], "--seeds takes whole numbers"),
        (["--data", "DATA", "--device", "cuda:9"], "there is no device 'cuda:9' here"),
        (["--data", "DATA", "--device", "9"], "there is no device 'cuda:9' here"),
        (["--data", "DATA", "--minutes", "3"], "--minutes is for animations-clip; leave it"),
        (["--data", "DATA", "--custom-args", "a@1"], "--custom-args is for configs; leave it"),
        (["--data", "DATA", "--seeds", "1,1"], "--seeds names a seed twice: 1,1"),
        (["--data", "nowhere"], "train_list_full.txt is not there"),
    ],
)
def test_wrong_options_are_told_in_one_line(library, capsys, options, message):
    options = [str(library.root) if option == "DATA" else option for option in options]
    assert main(["train", "animations-only-rgb", *options]) == 2
    assert message in capsys.readouterr().err


def test_the_tables_are_made_once_and_go_on(tmp_path, library):
    command = [sys.executable, "benchmarks/ce_tables.py", "--data", str(library.root)]
    command += ["--out", str(tmp_path), "--jobs", "2", "--device", "cpu", "--epochs", "1"]
    command += ["--seeds", "0,1", "--recipes", "animations-teachtext-ce,animations-concat"]
    first, second = (
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert "7 runs, 0 of them made before" in first and "7 runs, 7 of" in second
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results["recipes"]) == {"animations-teachtext-ce", "animations-concat"}
    mean, std = results["recipes"]["animations-concat"]["t2v"]["R@10"]
    row = next(line for line in second.splitlines() if line.startswith("| Concat"))
    assert f"| {mean:.1f} ({std:.1f}) |" in row and "`train animations-concat`" in row
    assert "| TeachText - CE | video to text, QB-Norm | " in second
    assert (tmp_path / "tables.md").read_text().strip() in second
    with open(tmp_path / "measured.csv", newline="") as file:
        rows = [each for each in csv.DictReader(file) if each["method"] == "Concat"]
    assert [(row["task"], row["normaliser"]) for row in rows] == [
        (task, normaliser) for task in ("t2v", "v2t") for normaliser in ("", "QB-Norm")
    ]
    assert (rows[0]["R@10"], rows[0]["R@10_std"]) == (f"{mean:.1f}", f"{std:.1f}")
