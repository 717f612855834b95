"""Teachers and masks by command: written, named in an official config, learned from."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_official_runs import HOW  # noqa: E402

from retrieval.__main__ import main  # noqa: E402
from retrieval.datasets.features import read_dict  # noqa: E402
from retrieval.metrics import t2v_ranks  # noqa: E402
from retrieval.models import config as model_config  # noqa: E402
from retrieval.training.distilling import mask_of_ranks  # noqa: E402
from tests.made_trees import make_tree  # noqa: E402

torch.set_num_threads(1)
N_TRAIN = 6  # of 20 captions each


@pytest.fixture(autouse=True)
def small_text(monkeypatch):
    """The miniature's captions have tokens of seven numbers."""
    monkeypatch.setitem(model_config.TEXT_DIMS, "openai", 7)
    monkeypatch.setitem(model_config.TEXT_DIMS, "w2v", 7)


@pytest.fixture
def tree(tmp_path) -> Path:
    """A miniature of MSR-VTT with two configs, of a teacher and of a student."""
    config = make_tree(tmp_path, "MSRVTT", "full-val") | HOW
    student = {
        "distil_loss": True,
        "distil_params": {"base_path": "teachers/", "teachers": ["w2v.pkl"]},
        "caption_masks": "denoising_masks/less2.pkl",
        "training_file": "denoising_masks/less2.txt",
    }
    (tmp_path / "student.json").write_text(json.dumps({**config, **student}))
    config["experts"]["text_feat"] = "w2v"
    (tmp_path / "teacher.json").write_text(json.dumps(config))
    return tmp_path


@pytest.fixture
def teacher(tree) -> Path:
    """The folder of a trained teacher's run."""
    run = ["train", str(tree / "teacher.json"), "--out", str(tree / "out"), "--device", "cpu"]
    assert main([*run, "--no-sims", "--no-page"]) == 0
    return tree / "out" / "seed-0"


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_student_learns_from_what_the_commands_wrote(tree, teacher, capsys):
    root = tree / "MSRVTT" / "structured-symlinks"
    out = root / "teachers" / "w2v.pkl"
    capsys.readouterr()
    assert main(["teachers", str(teacher), "--out", str(out), "--device", "cpu"]) == 0
    assert "6 videos, 120 captions times the teacher's weights" in capsys.readouterr().out
    masks, listed = (root / "denoising_masks" / f"less2.{end}" for end in ("pkl", "txt"))
    command = ["masks", str(teacher), "--less", "2", "--out", str(masks), "--device", "cpu"]
    assert main([*command, "--training-file", str(listed)]) == 0
    videos = (root / "train_list_full.txt").read_text().split()
    kept = listed.read_text().split()
    stored = read_dict(masks)
    assert list(stored) == videos and all(len(mask) == 20 for mask in stored.values())
    assert kept == [video for video in videos if stored[video].any()]

    run = ["train", str(tree / "student.json"), "--device", "cpu", "--no-sims", "--no-page"]
    assert main([*run, "--out", str(tree / "both")]) == 0
    unweighted = [*run, "--unweighted-teachers", "--out", str(tree / "other")]
    assert main(unweighted) == 0
    found = losses(tree / "both" / "seed-0")
    assert np.isfinite(found).all() and len(found) == 2
    assert found != losses(tree / "other" / "seed-0")
    config = json.loads((tree / "student.json").read_text())
    (tree / "student.json").write_text(json.dumps({**config, "distil_loss": False}))
    assert main([*run, "--out", str(tree / "none")]) == 0
    assert losses(tree / "none" / "seed-0")[0] < found[0]  # the teacher's part is missing


def test_the_command_takes_official_checkpoints_with_their_config(tree, teacher, capsys):
    whole = torch.load(teacher / "trained_model.pth", weights_only=True)
    official = tree / "official.pth"
    torch.save({"state_dict": whole["state_dict"], "epoch": 2}, official)
    assert main(["teachers", str(official), "--out", str(tree / "no.pkl")]) == 2
    assert "give its CONFIG.json with --config" in capsys.readouterr().err
    for run, out, more in (
        (official, "a.pkl", ["--config", str(tree / "teacher.json")]),
        (teacher, "b.pkl", []),
        (teacher, "bare.pkl", ["--unweighted", "--half"]),
    ):
        command = ["teachers", str(run), "--out", str(tree / out), "--device", "cpu", *more]
        assert main(command) == 0
    a, b, bare = (read_dict(tree / f"{name}.pkl") for name in ("a", "b", "bare"))
    for video, said in a.items():
        for kind, vectors in said.items():
            for expert, rows in vectors.items():
                np.testing.assert_array_equal(rows, b[video][kind][expert])
        for rows in bare[video]["text_embds"].values():
            assert rows.dtype == np.float16
            np.testing.assert_allclose(np.linalg.norm(rows.astype("f4"), axis=1), 1, atol=2e-3)


def test_masks_of_similarities_keep_what_ranks_well(tree, rng, capsys):
    sims = [rng.standard_normal((120, N_TRAIN)).astype(np.float32) for _ in range(2)]
    sims[0][20:40, 1] -= 9  # no caption of the second video is any good, by both
    sims[1][20:40, 1] -= 9
    files = [str(tree / f"s{i}.npy") for i in range(2)]
    for file, each in zip(files, sims, strict=True):
        np.save(file, each)
    command = ["masks", "--sims", *files, "--config", str(tree / "student.json"), "--less", "2"]
    assert main([*command, "--out", str(tree / "m.pkl")]) == 0
    owner = np.repeat(np.arange(N_TRAIN), 20)
    median = np.median([t2v_ranks(each, owner) for each in sims], axis=0)
    for video, mask in read_dict(tree / "m.pkl").items():
        own = median[20 * int(video.removeprefix("video")) :][:20]
        np.testing.assert_array_equal(mask, (own <= 2) | (own == own.min()))
    listed = tree / "kept.txt"
    assert main([*command, "--out", str(tree / "n.pkl"), "--training-file", str(listed)]) == 0
    assert "5 of 6 videos keep a caption" in capsys.readouterr().out
    assert listed.read_text().split() == [f"video{i}" for i in (0, 2, 3, 4, 5)]
    found = np.concatenate(list(read_dict(tree / "n.pkl").values()))
    np.testing.assert_array_equal(found > 0, median <= 2)


def test_a_mask_follows_its_definition():
    first = np.array([0, 2, 5])
    ranks = [np.array([1, 9, 30, 20, 20.5]), np.array([3, 11, 50, 20, 20.5])]
    assert mask_of_ranks(ranks, first, 10).tolist() == [True, True, False, True, False]
    assert mask_of_ranks(ranks, first, 9, keep_best=False).tolist() == [True, *[False] * 4]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["teachers", "nowhere.pth", "--out", "t.pkl"], "no checkpoint nowhere.pth"),
        (["teachers", "RUN", "--out", "t.npy"], "--out must end in .pkl"),
        (["masks", "--less", "5", "--out", "m.pkl"], "give teachers as RUN, or their similarities"),
        (["masks", "RUN", "--less", "0", "--out", "m.pkl"], "--less is a rank, 1 or more, got 0"),
        (["masks", "--sims", "s.npy", "--less", "5", "--out", "m.pkl"], "--config is missing"),
        (
            ["masks", *["RUN"] * 3, "--less", "5", "--out", "m.pkl", *["--config", "a"] * 2],
            "give --config once, or once for each RUN; got 2 for 3",
        ),
        (
            ["masks", "--sims", "s.npy", "--less", "5", "--out", "m.pkl", "--config", "CONFIG"],
            "s.npy is 3 x 4, expected 120 training captions x 6 training videos",
        ),
    ],
)
def test_wrong_options_are_told_in_one_line(tree, monkeypatch, capsys, command, message):
    monkeypatch.chdir(tree)
    np.save("s.npy", np.zeros((3, 4)))
    command = [{"CONFIG": "teacher.json", "RUN": "out"}.get(word, word) for word in command]
    assert main(command) == 2
    assert message in capsys.readouterr().err


def test_fused_captions_have_nothing_to_mask(tmp_path, capsys):
    config = make_tree(tmp_path, "DiDeMo", "val") | HOW
    (tmp_path / "fused.json").write_text(json.dumps(config))
    np.save(tmp_path / "s.npy", np.zeros((6, 6)))
    command = ["masks", "--sims", str(tmp_path / "s.npy"), "--config", str(tmp_path / "fused.json")]
    assert main([*command, "--less", "3", "--out", str(tmp_path / "m.pkl")]) == 2
    assert "one caption each, so there is none to leave out" in capsys.readouterr().err
