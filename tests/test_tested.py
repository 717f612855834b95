"""What a network is tested with: both banks, in memory and in files, and what is read of them."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from made_trees import make_tree  # noqa: E402

from retrieval import tested  # noqa: E402
from retrieval.__main__ import main  # noqa: E402
from retrieval.datasets.official import open_official  # noqa: E402
from retrieval.formats import StoredArray, open_matrix  # noqa: E402
from retrieval.models import build, from_official  # noqa: E402
from retrieval.models import config as model_config  # noqa: E402
from retrieval.official.runs import expert_dims  # noqa: E402
from retrieval.tested import TrainingSide, compare_all  # noqa: E402
from retrieval.training import expert_clips  # noqa: E402
from retrieval.training.expert_clips import similarities  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A network, and the clips of a set of 9 training and 4 test videos, one caption missing."""
    monkeypatch.setitem(model_config.TEXT_DIMS, "openai", 7)
    monkeypatch.setattr(tested, "CHUNK", 50)  # captions: the training videos come in parts
    config = make_tree(tmp_path, "MSRVTT", "full-val", n_train=9)
    settings = from_official(config)
    opened = open_official(config, expert_dims(settings))
    torch.manual_seed(0)
    train, test = (expert_clips.from_official(opened, part) for part in ("train", "val"))
    model = build(settings).eval()
    model.checks_input = False  # the clips were looked at when they were made
    return model, opened, train, test


def test_both_banks_hold_every_caption_and_every_video_once(made):
    model, opened, train, test = made
    side = TrainingSide.of(train)
    found = compare_all(model, test, 20, side)
    captions, there = test.asked(20)
    assert there.sum() == 4 * 20 - 1 and len(list(side.parts())) == 5
    for got, expected in (
        (found.sims, similarities(model, test, captions.ravel(), test)),
        (found.bank, similarities(model, train, np.arange(9 * 20), test)),
        (found.videos, similarities(model, test, captions.ravel(), train).T),
    ):
        np.testing.assert_allclose(got, expected, atol=1e-5)
    np.testing.assert_array_equal(found.there, there)
    by_part = TrainingSide(
        opened.training_counts(), lambda some: expert_clips.from_official(opened, "train", some)
    )
    again = compare_all(model, test, 20, by_part)
    for name in ("sims", "bank", "videos"):  # to the last digit: the same parts go through
        np.testing.assert_array_equal(getattr(found, name), getattr(again, name))


def test_the_first_captions_of_each_video_can_be_the_bank(made):
    model, _, train, test = made
    side = TrainingSide.of(train, n_captions=3)
    assert len(side) == 27
    places, _ = train.asked(3)
    expected = similarities(model, train, places.ravel(), test)
    found = compare_all(model, test, 1, side)
    np.testing.assert_allclose(found.bank, expected, atol=1e-5)


def test_large_matrices_lie_in_files_and_give_the_same_report(made, monkeypatch, tmp_path):
    model, _, train, test = made
    held = compare_all(model, test, 20, TrainingSide.of(train)).reports("mini")
    monkeypatch.setattr(tested, "HELD_BYTES", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "spare"))
    (tmp_path / "spare").mkdir()
    found = compare_all(model, test, 20, TrainingSide.of(train))
    assert all(isinstance(m, StoredArray) for m in (found.sims, found.bank, found.videos))
    assert not list((tmp_path / "spare").iterdir())  # open, but no longer there to be left behind
    read = found.reports("mini")
    for direction in ("t2v", "v2t"):
        assert read[direction].to_dict() == held[direction].to_dict()
    assert (read["t2v"].bank, read["t2v"].n_bank) == ("training captions", 180)
    assert (read["v2t"].bank, read["v2t"].n_bank) == ("training videos", 9)


def test_what_is_written_is_what_normalise_takes_in_both_directions(made, tmp_path, capsys):
    model, _, train, test = made
    folder = tmp_path / "kept"
    found = compare_all(model, test, 20, TrainingSide.of(train), folder)
    names = ["bank_sims.npy", "mask.npy", "sims.npy", "v2t_bank_sims.npy"]
    assert sorted(path.name for path in folder.iterdir()) == names
    np.testing.assert_array_equal(np.load(folder / "v2t_bank_sims.npy"), found.videos.read())
    reports = found.reports("mini")
    files = {"t2v": ("sims.npy", "bank_sims.npy"), "v2t": ("sims.npy[T]", "v2t_bank_sims.npy")}
    for direction, (sims, bank) in files.items():
        command = ["normalise", "--direction", direction, "--sims", str(folder / sims)]
        command += ["--bank-sims", str(folder / bank), "--masks", str(folder / "mask.npy")]
        assert main([*command, "--json", str(tmp_path / "report.json")]) == 0
        printed = capsys.readouterr().out
        metrics = reports[direction]["qbnorm"].metrics
        assert f"{metrics['R@1']:.1f}" in printed.split("QB-Norm")[1]
        assert f"{metrics['MnR']:.1f}" in printed.split("QB-Norm")[1]


def test_one_direction_needs_no_training_videos(made, tmp_path):
    model, _, train, test = made
    found = compare_all(model, test, 20, TrainingSide.of(train), tmp_path, both=False)
    assert found.bank.shape == (180, 4) and found.videos is None
    assert not (tmp_path / "v2t_bank_sims.npy").exists()


@pytest.mark.parametrize("ending", ["npy", "csv"])
def test_a_matrix_is_read_transposed(tmp_path, rng, ending):
    sims = rng.normal(size=(5, 7)).astype(np.float32)
    path = tmp_path / f"sims.{ending}"
    if ending == "npy":
        np.save(path, sims)
    else:
        np.savetxt(path, sims, delimiter=",")
    turned = open_matrix(f"{path}[T]")
    assert turned.shape == (7, 5)
    np.testing.assert_allclose(turned.read(), sims.T, rtol=1e-6)
    np.testing.assert_allclose(turned.read_rows(2, 4), sims.T[2:4], rtol=1e-6)
    np.testing.assert_allclose(turned.take_rows(np.array([1, 4, 6])), sims.T[[1, 4, 6]], rtol=1e-6)
    np.testing.assert_allclose(open_matrix(f"{path}[T][T]").read(), sims, rtol=1e-6)
    both = tmp_path / "both.npz"
    np.savez(both, T=sims, other=sims[:3])
    assert open_matrix(f"{both}[T]").shape == (5, 7)  # an array of that name comes first
    assert open_matrix(f"{both}[other][T]").shape == (7, 3)


# ---- what the commands print and write -----------------------------------------------------------


def test_tables_fit_eighty_columns_and_say_what_the_json_says(made, tmp_path):
    from retrieval.reports.tables import brief_lines

    model, _, train, test = made
    names = ["qbnorm", "hnn", "nnn:alpha=0.75"]
    reports = compare_all(model, test, 20, TrainingSide.of(train)).reports("mini", names, "audio")
    for direction, task in (("t2v", "text-to-audio"), ("v2t", "audio-to-text")):
        report = reports[direction]
        lines = brief_lines(report)
        assert lines[0].startswith(f"mini, {task}: ") and report.to_dict()["medium"] == "audio"
        tables = lines[: lines.index(report.verdict)]
        assert max(map(len, tables)) <= 80
        for row in report.rows:
            shown = "\n".join(tables).split(row.title, 1)[1].split()
            assert f"{row.metrics['R@1']:.1f}" in shown[:4]


def test_means_over_seeds_stand_beside_their_deviation_and_one_seed_has_none():
    from retrieval.reports.tables import COLUMNS, over_seeds_lines

    rows = {task: dict.fromkeys(COLUMNS, (1495.5, 12.25)) for task in ("t2v", "v2t qbnorm")}
    several = over_seeds_lines(rows, 3)
    assert several[1].split() == ["R@1", "1495.5", "(12.2)", "1495.5", "(12.2)"]
    assert several[-1] == "Mean over 3 seeds (sample standard deviation, n - 1)."
    assert max(map(len, several)) <= 80
    assert over_seeds_lines(rows, 1)[1].split() == ["R@1", "1495.5", "1495.5"]
