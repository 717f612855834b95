"""Prediction files of the challenge: written, looked at row by row, zipped, scored."""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from retrieval.__main__ import main
from retrieval.errors import FileError, SettingsError
from retrieval.metrics import summarise, t2v_ranks
from retrieval.official import challenge
from retrieval.official.challenge import (
    EXPECTED,
    PHASES,
    pack,
    read_predictions,
    recalls,
    write_predictions,
)

NAME = "LSMDC-public_server_test-predictions.csv"


def made(path: Path, n_rows: int, n_videos: int, seed: int = 0) -> np.ndarray:
    """A file of random rankings."""
    rng = np.random.default_rng(seed)
    best = np.argsort(rng.random((n_rows, n_videos)), axis=1)[:, :10]
    write_predictions(path, best)
    return best


def test_the_expected_rows_are_those_that_the_challenge_published():
    rows = {name: [phases[p].n_rows for p in PHASES] for name, phases in EXPECTED.items()}
    assert rows == {
        "MSRVTT": [9940, 59794],
        "MSVD": [4290, 27763],
        "LSMDC": [7408, 1000],
        "DiDeMo": [1065, 1004],
        "YouCook2": [969, 3310],
        "ActivityNet": [1001, 4917],
    }


def test_a_file_is_rows_of_ten_places_without_a_header(tmp_path):
    best = made(tmp_path / NAME, 3, 12)
    lines = (tmp_path / NAME).read_text().split("\n")
    assert lines == [*(",".join(map(str, row)) for row in best.tolist()), ""]
    np.testing.assert_array_equal(read_predictions(tmp_path / NAME, 12, 3), best)


def test_nine_places_are_not_written(tmp_path):
    with pytest.raises(SettingsError, match="names 10 videos, got 9"):
        write_predictions(tmp_path / NAME, np.zeros((2, 9), dtype=int))
    assert not (tmp_path / NAME).exists()


GOOD = "0,1,2,3,4,5,6,7,8,9\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has 0 rows, expected 2, one for each query"),
        (GOOD, "has 1 rows, expected 2"),
        ("a,b,c,d,e,f,g,h,i,j\n" + GOOD, "row 1: expected 10 whole numbers from 0"),
        (GOOD + "0,1,2,3,4,5,6,7,8\n", "row 2: expected 10"),
        (GOOD + "0,1,2,3,4,5,6,7,8,9,10\n", "row 2: expected 10"),
        (GOOD + "0,1,2,3,4,5,6,7,8,-1\n", "row 2: expected 10"),
        (GOOD + "0,1,2,3,4,5,6,7,8,9.0\n", "row 2: expected 10"),
        (GOOD + "0,1,2,3,4,5,6,7,8,٩\n", "row 2: expected 10"),
        (GOOD + "0,1,2,3,4,5,6,7,8,8\n", "row 2: names a video more than once"),
        (GOOD + "0,1,2,3,4,5,6,7,8,12\n", "row 2: names video 12, the split has 0..11"),
        (GOOD + "\n", "row 2: expected 10"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_row(tmp_path, text, message):
    (tmp_path / NAME).write_text(text)
    with pytest.raises(FileError, match=message):
        read_predictions(tmp_path / NAME, 12, 2)


def test_recalls_are_those_of_the_whole_matrix(rng, tmp_path):
    sims, owner = rng.standard_normal((60, 25)), rng.integers(0, 25, 60)
    best = np.argsort(-sims, axis=1)[:, :10]
    found, whole = recalls(best, owner), summarise(t2v_ranks(sims, owner))
    assert found == {name: whole[name] for name in ("R@1", "R@5", "R@10", "Geom")}
    with pytest.raises(FileError, match="60 rows, the split 3 queries"):
        recalls(best, owner[:3])


def test_a_submission_is_named_after_its_paths_and_packed_once(tmp_path):
    one = tmp_path / NAME
    two = tmp_path / "DiDeMo-public_server_test-predictions.csv"
    made(one, 1000, 1000)
    made(two, 1004, 1004)
    path, is_new = pack([two, one], PHASES[1], tmp_path / "out")
    digits = hashlib.sha256((str(two) + str(one)).encode()).hexdigest()[:10]
    assert is_new and path.name.startswith(f"public_server_test-{digits}-2")
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == [two.name, one.name]
        assert archive.read(one.name) == one.read_bytes()
    assert pack([one, two], PHASES[1], tmp_path / "out") == (path, False)
    drivers = tmp_path / "predictions.json"
    drivers.write_text(
        json.dumps({"DiDeMo": {PHASES[1]: str(two)}, "LSMDC": {PHASES[1]: str(one)}})
    )
    assert pack([drivers], PHASES[1], tmp_path / "out") == (path, False)


@pytest.mark.parametrize(
    ("names", "phase", "message"),
    [
        ([NAME, NAME], PHASES[1], "is given twice"),
        ([NAME], PHASES[0], "is not of phase public_server_val"),
        ([NAME], "public_server_train", "unknown phase 'public_server_train'; available"),
        (["mine.csv"], PHASES[1], "mine.csv is not named like DATASET-PHASE-predictions.csv"),
        (["d.json"], PHASES[1], "d.json names no file of public_server_test"),
    ],
)
def test_a_submission_that_would_be_refused_is_not_packed(tmp_path, capsys, names, phase, message):
    made(tmp_path / NAME, 1000, 1000)
    shutil.copy(tmp_path / NAME, tmp_path / "mine.csv")
    (tmp_path / "d.json").write_text('{"LSMDC": {"public_server_val": "x.csv"}}')
    files = [str(tmp_path / name) for name in names]
    command = ["challenge", "pack", *files, "--phase", phase, "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_check_says_what_each_file_holds(tmp_path, capsys):
    made(tmp_path / NAME, 1000, 1000)
    assert main(["challenge", "check", str(tmp_path / NAME)]) == 0
    assert "1,000 queries, ten of 1,000 videos each" in capsys.readouterr().out
    short = tmp_path / "DiDeMo-public_server_val-predictions.csv"
    made(short, 3, 1000)
    assert main(["challenge", "check", str(tmp_path / NAME), str(short)]) == 2
    assert "has 3 rows, expected 1,065, one for each query" in capsys.readouterr().err
    assert main(["challenge", "check", str(tmp_path / "no" / NAME)]) == 2
    assert "no predictions" in capsys.readouterr().err


# ---- networks ------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path, monkeypatch) -> Path:
    """A miniature of the challenge: twelve public videos, and twelve more in a second release."""
    pytest.importorskip("torch")
    from made_trees import make_tree
    from test_official_runs import HOW

    from retrieval.models import config as model_config

    monkeypatch.setitem(model_config.TEXT_DIMS, "w2v", 7)
    made_config = make_tree(tmp_path, "MSRVTT", "public_server_val", n_val=12) | HOW
    root = tmp_path / "MSRVTT" / "structured-symlinks"
    test = shutil.copytree(root, tmp_path / "MSRVTT" / "challenge-release-2")
    videos = (test / "public_server_val.txt").read_text().split()
    (test / "public_server_test.txt").write_text("".join(f"{v}\n" for v in videos[::-1][:11]))
    for folder in (root, test):
        for text in (folder / "aggregated_text_feats").glob("*openAI*"):
            text.unlink()
    made_config["experts"]["text_feat"] = "w2v"
    loader = made_config["data_loader"]["args"]
    loader["challenge_test_root_feat_folder"] = "challenge-release-2"
    made_config["challenge_mode"] = True
    path = tmp_path / "msrvtt" / "baseline-public-trainval.json"
    path.parent.mkdir()
    path.write_text(json.dumps(made_config))
    return path


def test_challenge_mode_predicts_instead_of_measuring(config, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["train", str(config), "--out", str(out), "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    name = "MSRVTT-public_server_val-predictions.csv"
    assert lines[-2:] == [
        f"Saved similarity matrix predictions to {out / 'seed-0' / name}",
        f"The best performing ckpt can be found at {out / 'seed-0' / 'trained_model.pth'}",
    ]
    found = json.loads((out / "seed-0" / "result.json").read_text())
    assert "t2v" not in found and not (out / "web").exists()
    sims, there = (np.load(out / "seed-0" / file) for file in ("sims.npy", "mask.npy"))
    rows = sims[np.flatnonzero(there)]
    places = read_predictions(out / "seed-0" / name, 12, 12 * 20 - 1)  # one caption is missing
    np.testing.assert_array_equal(places, np.argsort(-rows, axis=1, kind="stable")[:, :10])

    command = ["challenge", "score", str(out / "seed-0" / name), "--config", str(config)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    owner = np.nonzero(there)[0]
    assert f"R@10 {summarise(t2v_ranks(rows, owner))['R@10']:.1f}" in printed

    resume = ["--resume", str(out / "seed-0" / "trained_model.pth"), "--device", "cpu"]
    again = ["evaluate", str(config), *resume, "--out", str(out), "--normaliser", "qbnorm"]
    assert main(again) == 0
    path = Path(capsys.readouterr().out.split()[-1])
    run = "cvpr2020-challenge/msrvtt-baseline-public-trainval"
    assert path.is_relative_to(out / "log" / run) and path.name == name
    assert read_predictions(path).shape == places.shape

    test = "data_loader.args.split_name@public_server_test"
    assert main(["evaluate", str(config), *resume, "--out", str(out), "--custom-args", test]) == 0
    path = Path(capsys.readouterr().out.split()[-1])
    assert path.name == "MSRVTT-public_server_test-predictions.csv"
    assert len(read_predictions(path, 11)) in (11 * 20, 11 * 20 - 1)


def test_a_split_of_nine_videos_has_no_ten_best(config, tmp_path, capsys):
    root = tmp_path / "MSRVTT" / "structured-symlinks"
    videos = (root / "public_server_val.txt").read_text().split()
    (root / "public_server_val.txt").write_text("".join(f"{v}\n" for v in videos[:9]))
    assert main(["train", str(config), "--out", str(tmp_path / "o"), "--device", "cpu"]) == 2
    assert "the split must have at least 10" in capsys.readouterr().err


def test_score_needs_a_config(tmp_path, capsys):
    made(tmp_path / NAME, 3, 12)
    assert main(["challenge", "score", str(tmp_path / NAME)]) == 2
    assert "--config is missing" in capsys.readouterr().err
    assert challenge.file_name("LSMDC", PHASES[1]) == NAME
