"""Configs in official shape, from the command line: every data set's protocol, and bad input."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("h5py")

from made_configs import FLOW, RGB, RUNS, SMALL, captions_of, made_run  # noqa: E402

from retrieval.__main__ import main  # noqa: E402
from retrieval.datasets.trees import expert_files, get_tree, text_files  # noqa: E402
from retrieval.experiments import RESULT  # noqa: E402
from retrieval.official.configs import load_config  # noqa: E402
from retrieval.training.experts_trainer import BEST, LAST, LOG  # noqa: E402

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[1]
FEW = f"+experts.modalities@{RGB},audio"
SIZES = (7, 4, 5)  # videos of the lists of training, validation and test


def train(config: Path, data: Path, out: Path, *more: str, custom: str = SMALL) -> int:
    command = ["train", str(config), "--data", str(data), "--out", str(out), "--device", "cpu"]
    return main([*command, "--custom_args", custom, *more])


# Run -> the epoch that is reported, and captions asked of each video.
TESTED = {
    "msrvtt": ("best", 20),
    "msrvtt-jsfusion": ("last", 1),
    "msrvtt-miech": ("last", 1),
    "msvd": ("best", 81),
    "didemo": ("best", 1),
    "activity-net": ("best", 1),
    "lsmdc": ("best", 1),
    "queryd": ("best", 1),
    "querydsegments": ("best", 1),
    "youcook2": ("best", 1),
    "vatex": ("best", 10),
    "mnnet": ("best", 1),
}


@pytest.mark.parametrize("run", list(RUNS))
def test_every_data_set_follows_its_protocol(tmp_path, capsys, run):
    config, data = made_run(tmp_path, run, SIZES)
    name = load_config(config)["data_loader"]["args"]["dataset_name"]
    epoch, n_captions = TESTED[run]
    out = tmp_path / "out"
    small = SMALL.replace("experts.ce_shared_dim@8+", "") if run == "mnnet" else SMALL
    assert train(config, data, out, "--seeds", "0,1", "--sims", custom=small) == 0
    printed = capsys.readouterr().out
    assert "2 seeds" in printed and " (" in printed.splitlines()[-1]

    # Unless the list of validation is the one that is tested, and then it has these videos too.
    first, n_videos = SIZES[0] + SIZES[1], SIZES[2]
    fused = name in ("DiDeMo", "ActivityNet", "QuerYD")
    asked = [min(captions_of(name, first + i), n_captions) for i in range(n_videos)]
    for seed in (0, 1):
        folder = out / f"seed-{seed}"
        found = json.loads((folder / RESULT).read_text())
        assert found["t2v"]["n_items"] == n_videos
        assert found["t2v"]["n_queries"] == sum([1] * n_videos if fused else asked)
        mask = np.load(folder / "mask.npy")
        assert mask.shape == (n_videos, n_captions)
        assert mask.sum(axis=1).tolist() == ([1] * n_videos if fused else asked)
        curves = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
        best = max(curves, key=lambda row: (row["val_t2v_Geom"], row["epoch"]))
        assert found["epoch"] == (len(curves) if epoch == "last" else best["epoch"])
        # The bank is every training caption.
        captions = sum(1 if fused else captions_of(name, i) for i in range(SIZES[0]))
        assert found["t2v"]["n_bank"] == captions

    checkpoint = str(out / "seed-1" / BEST)
    command = ["evaluate", str(config), "--resume", checkpoint, "--data", str(data)]
    command += ["--custom-args", small, "--device", "cpu", "--json", str(tmp_path / "report.json")]
    if epoch != "last":
        command.append("--eval-from-training-config")
    assert main(command) == 0
    again = json.loads((tmp_path / "report.json").read_text())
    assert again["t2v"]["metrics"] == found["t2v"]["metrics"]
    assert again["v2t"]["metrics"] == found["v2t"]["metrics"]


def test_the_fixed_caption_of_1k_a_is_asked(tmp_path):
    from retrieval.datasets.official import open_official
    from retrieval.models import from_official

    config, data = made_run(tmp_path, "msrvtt-jsfusion", SIZES)
    resolved = load_config(config)
    dims = {e.name: e.dim for e in from_official(resolved).experts}
    opened = open_official(resolved, dims, data=data)
    for i, video in enumerate(opened.val, start=SIZES[0] + SIZES[1]):
        np.testing.assert_array_equal(opened.asked_text(video)[0], opened.text[video][i % 20])


def test_published_lists_lack_the_published_number_of_captions(tmp_path, capsys, monkeypatch):
    """A list as long as MSR-VTT's test list must lack just the captions that it lacks."""
    config, data = made_run(tmp_path, "msrvtt", SIZES)
    monkeypatch.setitem(get_tree("MSRVTT").n_missing, (5, 20), 1)
    assert train(config, data, tmp_path / "a", custom=SMALL + FEW) == 0
    monkeypatch.setitem(get_tree("MSRVTT").n_missing, (5, 20), 6)
    assert train(config, data, tmp_path / "b", custom=SMALL + FEW) == 2
    error = capsys.readouterr().err
    assert "lack 1 captions of the 5 evaluated videos, 6 were expected" in error


# ---- bad input -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lsmdc(tmp_path_factory) -> tuple[Path, Path]:
    """The files of the smallest run that there is; nobody may change them."""
    folder = tmp_path_factory.mktemp("lsmdc")
    return made_run(folder, "lsmdc", SIZES)


@pytest.fixture
def made(tmp_path, lsmdc) -> tuple[Path, Path, Path]:
    """A copy of these files: the config, the folder of the data set, the feature root."""
    import shutil

    config, data = lsmdc
    folder = config.parents[2]
    shutil.copytree(folder, tmp_path / "run")
    data = tmp_path / "run" / data.relative_to(folder)
    root = data / "high-quality" / "structured-symlinks"
    return tmp_path / "run" / config.relative_to(folder), data, root


def refused(capsys, code: int) -> str:
    """The one line of a command that was refused."""
    captured = capsys.readouterr()
    assert code == 2, captured.out + captured.err
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and "Traceback" not in lines[0]
    return lines[0]


def features_of(root: Path, config: Path, expert: str) -> Path:
    how = load_config(config)["data_loader"]["args"]["feat_aggregation"][expert]
    return expert_files(root, "LSMDC", "full-val", expert, how)[0]


def change(path: Path, edit) -> None:
    """Load a pickle of ours, change it, save it."""
    value = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps(edit(value) or value))


class Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, at: Path) -> None:
        self.at = at

    def __reduce__(self):
        return (os.mkdir, (str(self.at),))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r, c: features_of(r, c, RGB).unlink(),
         "no features of imagenet.senet154.0: aggregated_imagenet_25fps_256px_stride1_offset0/"
         "senet154-avg.pickle is not there; fetch the data set's experts, or drop the expert"),
        (lambda r, c: change(features_of(r, c, FLOW), lambda v: v.pop("video3") is None),
         "the features of i3d.i3d.0 do not know video video3; store NaN where a feature is"),
        (lambda r, c: change(features_of(r, c, FLOW),
                             lambda v: {k: x[:, :9] for k, x in v.items()}),
         "i3d-avg.pickle has vectors of 9 numbers, expected 1024 of i3d.i3d.0"),
        (lambda r, c: change(features_of(r, c, RGB),
                             lambda v: v["video8"].__setitem__((0, 3), np.nan)),
         "imagenet.senet154.0 of video video8 is not finite"),
        (lambda r, c: change(features_of(r, c, "speech"),
                             lambda v: v["video2"].__setitem__((0, 3), np.inf)),
         "speech of video video2 is not finite"),
        (lambda r, c: change(features_of(r, c, RGB), lambda v: v.update(video2=float("nan"))),
         "training video video2 lacks imagenet.senet154.0, which is not marked as flaky"),
        (lambda r, c: change(r / "raw-captions.pkl", lambda v: v["video9"].append(["one", "more"])),
         "raw-captions.pkl has 2 captions of video video9, the text features have 1"),
        (lambda r, c: change(text_files(r, "LSMDC", "w2v")[0],
                             lambda v: {k: [a[:, :7] for a in x] for k, x in v.items()}),
         "the text features have tokens of 7 numbers, expected 300 of w2v"),
        (lambda r, c: change(r / "raw-captions.pkl", lambda v: v.update(video9=None)),
         "raw-captions.pkl: video video9 has NoneType 'None' for captions, expected a list of"),
        (lambda r, c: change(r / "raw-captions.pkl", lambda v: v.update(video9="a man walks")),
         "raw-captions.pkl: video video9 has str 'a man walks' for captions, expected a list of"),
        (lambda r, c: change(r / "raw-captions.pkl", lambda v: v.update(video9=[["a", None]])),
         "raw-captions.pkl: a caption of video video9 is \"['a', None]\", expected a list of"),
        (lambda r, c: change(text_files(r, "LSMDC", "w2v")[0], lambda v: v.update(video3=None)),
         "the text features of video video3 are NoneType; expected one array [n_tokens, dim]"),
        (lambda r, c: change(text_files(r, "LSMDC", "w2v")[0], lambda v: v.update(video3=np.nan)),
         "the text features of video video3 are float; expected one array [n_tokens, dim]"),
        (lambda r, c: change(features_of(r, c, "audio"),
                             lambda v: v.update(video3=np.full((2, 128), 1e300))),
         "audio of video video3 is not finite"),
        (lambda r, c: features_of(r, c, RGB).write_bytes(b"\x89HDF\r\n" + bytes(99)),
         "senet154-avg.pickle is an HDF5 file; save the dict with pickle"),
        (lambda r, c: features_of(r, c, RGB).write_bytes(b"\x93NUMPY" + bytes(99)),
         "senet154-avg.pickle is not a pickle; save the dict with pickle"),
        (lambda r, c: change(features_of(r, c, RGB), lambda v: v.update(video2=torch.ones(2))),
         "which is no plain data, and was not run; pickle plain numpy arrays, words and numbers"),
        (lambda r, c: change(text_files(r, "LSMDC", "w2v")[0], lambda v: v.pop("video1")[:0]),
         "raw-captions.pkl has 1 captions of video video1, the text features have 0"),
        (lambda r, c: (r / "train_list.txt").write_text(""), "train_list.txt names no video"),
        (lambda r, c: (r / "val_list.txt").write_text("\n"), "val_list.txt names no video"),
        (lambda r, c: (r / "val_list.txt").write_text("video8\nvideo9\nvideo8\n"),
         "val_list.txt names video video8 twice; leave one out"),
        (lambda r, c: (r / "train_list.txt").write_bytes(b"\xff\xfe\x00"),
         "train_list.txt is no list of video names; give one a line"),
        (lambda r, c: (r / "train_list.txt").write_text("video1\n"),
         "the training list names 1 videos, which make no batch"),
        (lambda r, c: (r / "train_list.txt").unlink(),
         "structured-symlinks/train_list.txt is not there"),
        (lambda r, c: features_of(r, c, FLOW).write_bytes(pickle.dumps({"a": Runs(r / "ran")})),
         "asks for posix.mkdir, which is no plain data, and was not run"),
        (lambda r, c: (r / "raw-captions.pkl").write_bytes(pickle.dumps([Runs(r / "ran")])),
         "raw-captions.pkl asks for posix.mkdir, which is no plain data, and was not run"),
        (lambda r, c: features_of(r, c, FLOW).write_bytes(b"\x80\x04cut"), "damaged"),
    ],
)  # fmt: skip
def test_files_that_do_not_fit_are_told_in_one_line(made, tmp_path, capsys, spoil, message):
    config, data, root = made
    spoil(root, config)
    assert message in refused(capsys, train(config, data, tmp_path / "out"))
    assert not (root / "ran").exists()


def test_what_is_wrong_with_the_tested_videos_is_told_before_any_training(made, tmp_path, capsys):
    config, data, root = made
    change(features_of(root, config, RGB), lambda v: v["video12"].__setitem__((0, 3), np.nan))
    found = refused(capsys, train(config, data, tmp_path / "out"))
    assert "imagenet.senet154.0 of video video12 is not finite" in found
    assert not (tmp_path / "out" / "seed-0" / LOG).exists()


def rewrite(config: Path, *path: str, **values) -> None:
    """Change a section of a config file."""
    whole = json.loads(config.read_text())
    section = whole
    for key in path:
        section = section.setdefault(key, {})
    section.update(values)
    config.write_text(json.dumps(whole))


@pytest.mark.parametrize(
    ("path", "values", "message"),
    [
        (("arch",), {"type": "MMT"}, "unknown arch.type 'MMT'; available: CENet, MNNet"),
        (("arch", "args"), {"use_cee": 1}, "unknown keys in arch.args: use_cee; remove them"),
        (("arch", "args"), {"use_ce": True}, "unknown use_ce True; available: pairwise"),
        (("arch", "args"), {"l2renorm": True}, "arch.args.l2renorm is not supported; set it to fa"),
        ((), {"caption_mask": "x.pkl", "sed": 1},
         "unknown keys in the config: caption_mask, sed; remove them, or correct their spelling"),
        (("trainer",), {"epoch": 3}, "unknown keys in the config: trainer.epoch; remove them"),
        (("data_loader", "args"), {"max_text_words": 30},
         "unknown keys in the config: data_loader.args.max_text_words; remove them"),
        (("data_loader", "args", "feat_aggregation", "ocr"), {"flakey": True},
         "unknown keys in the config: data_loader.args.feat_aggregation.ocr.flakey"),
        (("eval_settings", "data_loader", "args"), {"split": "full-test"},
         "unknown keys in the config: eval_settings.data_loader.args.split"),
        (("data_loader", "args", "feat_aggregation"), {"ocr": "vlad"},
         'data_loader.args.feat_aggregation.ocr is "vlad", expected a section'),
        (("data_loader", "args", "max_tokens"), {"text": "8"},
         'data_loader.args.max_tokens.text is "8", expected a whole number'),
        (("trainer",), {"verbosity": True}, "trainer.verbosity is true, expected a whole number"),
        (("experts",), {"modalities": "ocr"}, 'experts.modalities is "ocr", expected a list'),
        (("experts",), {"text_feat": "word2vec"}, "text_feats/word2vec.pkl is not there"),
        (("experts",), {"modalities": ["rgb.new.0"]},
         "data_loader.args.feat_aggregation says nothing of rgb.new.0; add it"),
        (("data_loader",), {"type": "Loader"}, "unknown data_loader.type 'Loader'; available: Ex"),
        (("data_loader", "args"), {"dataset_name": "TRECVID"}, "unknown data set 'TRECVID'; avail"),
        (("data_loader", "args"), {"split_name": "half"}, "LSMDC has no split 'half'; available:"),
        (("data_loader", "args"), {"num_test_captions": 3},
         "num_test_captions of LSMDC must be 1, got 3"),
        (("data_loader", "args"), {"trn_cat": 1}, "temporal relations (trn_cat, trn_seg) are not"),
        (("optimizer",), {"type": "Rangers"}, "unknown optimiser 'Rangers'; available: RAdam"),
        (("optimizer", "args"), {"lrr": 1}, "Ranger does not take"),
        (("lr_scheduler",), {"type": "Step"}, "unknown lr_scheduler 'Step'; available: StepLR"),
        (("loss",), {"type": "Triplet"}, "unknown loss 'Triplet'; give MaxMarginRankingLoss"),
        (("trainer",), {"monitor": "max epoch"}, "unknown trainer.monitor 'max epoch'; give max"),
        ((), {"task": "classification"}, "num_classes"),
        ((), {"inherit_from": "../other.json"}, "inherits from ../other.json, which leads out of"),
        ((), {"inherit_from": "/etc/base.json"}, "inherits from /etc/base.json, which leads out"),
        ((), {"inherit_from": "configs/none.json"}, "inherits from configs/none.json, which is n"),
        ((), {"inherit_from": "configs/lsmdc/train-full-ce.json"},
         "config train-full-ce.json inherits from itself; correct its inherit_from"),
        ((), {"inherit_from": ["a", "b"]}, "inherit_from of config train-full-ce.json is no text"),
    ],
)  # fmt: skip
def test_configs_that_cannot_be_run_are_told_in_one_line(
    made, tmp_path, capsys, path, values, message
):
    config, data, _ = made
    rewrite(config, *path, **values)
    small = SMALL if "inherit_from" not in values else ""
    assert message in refused(capsys, train(config, data, tmp_path / "out", custom=small))


@pytest.mark.parametrize(
    ("custom", "message"),
    [
        ("trainer.epochs@2", "trainer.epochs 2 is below trainer.save_period 10, so that nothing"),
        ("trainer.epoch@2", "the config has no trainer.epoch: 'epoch' is not among"),
        ("trainer.epochs@many", "trainer.epochs is int like 15, got 'many'"),
        ("trainer@1", "trainer is a section; give the path of one value in it"),
        ("trainer.epochs", "custom argument 'trainer.epochs' has no @; write key@value"),
        ("data_loader.args.batch_size@1", "batch >= 2"),
        ("data_loader.args.feat_aggregation.i3d.i3d.0.stride@4", "'i3d' is not among"),
        ("data_loader.args.text_dropout@1.5", "text_dropout is a chance of 0 to 1, got 1.5"),
    ],
)
def test_custom_arguments_that_do_not_fit_are_told_in_one_line(
    lsmdc, tmp_path, capsys, custom, message
):
    config, data = lsmdc
    assert message in refused(capsys, train(config, data, tmp_path / "out", custom=custom))


def test_a_trial_of_fewer_epochs_than_a_save_period_is_one_option(lsmdc, tmp_path, capsys):
    config, data = lsmdc
    custom = "experts.ce_shared_dim@8+data_loader.args.batch_size@4"
    assert train(config, data, tmp_path / "out", "--epochs", "1", custom=custom) == 0


def test_checkpoints_that_do_not_fit_are_told_in_one_line(lsmdc, tmp_path, capsys):
    config, data = lsmdc
    out = tmp_path / "out"
    assert train(config, data, out, "--epochs", "1") == 0
    capsys.readouterr()
    checkpoint = out / "seed-0" / BEST

    def evaluate(path: Path, custom: str = SMALL) -> str:
        command = ["evaluate", str(config), "--resume", str(path), "--data", str(data)]
        return refused(capsys, main([*command, "--custom-args", custom, "--device", "cpu"]))

    other = SMALL + "+arch.args.use_ce@"  # MoEE
    assert "another architecture: it lacks ce.video_GU.0.fc.weight" in evaluate(checkpoint, other)
    wider = SMALL.replace("shared_dim@8", "shared_dim@9")
    assert "another size: ce.video_dim_reduce.0.fc.weight is (8, " in evaluate(checkpoint, wider)
    assert "nowhere.pth" in evaluate(tmp_path / "nowhere.pth")
    hostile = tmp_path / "hostile.pth"
    state = torch.load(checkpoint, weights_only=True)
    torch.save({**state, "config": Runs(tmp_path / "ran")}, hostile)
    assert "asks for posix.mkdir, which is no plain data, and was not run" in evaluate(hostile)
    hostile.write_bytes(checkpoint.read_bytes()[:5000])
    assert "hostile.pth" in evaluate(hostile)
    assert not (tmp_path / "ran").exists()


def test_a_killed_command_goes_on_with_the_numbers_of_an_unbroken_one(lsmdc, tmp_path):
    config, data = lsmdc
    small = SMALL.replace("epochs@2", "epochs@30") + FEW
    command = [sys.executable, "-m", "retrieval", "train", str(config), "--data", str(data)]
    command += ["--custom-args", small, "--device", "cpu", "--out"]
    options = {"cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*command, str(tmp_path / "a")], **options)
    log = tmp_path / "a" / "seed-0" / LOG
    deadline = time.monotonic() + 120
    while not (log.exists() and len(log.read_text().splitlines()) > 2):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = len(log.read_text().splitlines())
    state = torch.load(tmp_path / "a" / "seed-0" / LAST, weights_only=True)
    assert done < 30 and state["epoch"] >= done - 1  # at most the epoch at work is lost
    for out in "ab":
        subprocess.run([*command, str(tmp_path / out)], check=True, **options)
    assert log.read_text() == (tmp_path / "b" / "seed-0" / LOG).read_text()
    results = [json.loads((tmp_path / x / "seed-0" / RESULT).read_text()) for x in "ab"]
    assert results[0] == results[1]
