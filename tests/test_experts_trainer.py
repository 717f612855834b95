"""Training of the expert family: batches by index, a run that learns, one killed that goes on."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from made_trees import SPLITS, make_tree  # noqa: E402

from retrieval.datasets.official import open_official  # noqa: E402
from retrieval.errors import FileError, ModelError, SettingsError  # noqa: E402
from retrieval.metrics import summarise, t2v_ranks  # noqa: E402
from retrieval.models import CEConfig, Expert, from_official  # noqa: E402
from retrieval.training import expert_clips  # noqa: E402
from retrieval.training.expert_clips import ExpertClips, Tokens, similarities  # noqa: E402
from retrieval.training.experts_trainer import (  # noqa: E402
    BEST,
    LAST,
    LOG,
    ExpertSettings,
    ExpertsTrainer,
    Lot,
    OfficialLot,
    Taught,
    allowed_captions,
    read_checkpoint,
    seeded,
)

torch.set_num_threads(1)  # as many as such small products need

ROOT = Path(__file__).resolve().parents[1]


def made_clips(n: int, seed: int = 0, n_captions: int = 3) -> ExpertClips:
    """Clips of 12 kinds, told by two experts (one missing now and then) and by their words."""
    kinds, rng = np.random.default_rng(7), np.random.default_rng(seed)
    means = kinds.standard_normal((12, 6)).astype(np.float32)
    sounds = kinds.standard_normal((12, 2, 5)).astype(np.float32)
    words = kinds.standard_normal((12, 3, 4)).astype(np.float32)
    kind = rng.integers(0, 12, n)
    there = (rng.random(n) < 0.7).astype(np.float32)
    rgb = means[kind] + 0.1 * rng.standard_normal((n, 6)).astype(np.float32)
    audio = [sounds[k] + 0.1 * rng.standard_normal((2, 5)) for k in kind]
    counts = np.where(there > 0, 2, 0)
    heard = [a for a, t in zip(audio, there, strict=True) if t]
    captions = [
        words[k, rng.permutation(3)] + 0.1 * rng.standard_normal((3, 4))
        for k in kind
        for _ in range(n_captions)
    ]
    return ExpertClips(
        tuple(f"video{i}" for i in range(n)),
        {
            "audio": Tokens(
                torch.tensor(np.concatenate(heard), dtype=torch.float32),
                torch.from_numpy(np.concatenate([[0], np.cumsum(counts)])),
                3,
            ),
            "rgb": torch.from_numpy(rgb),
        },
        {"audio": torch.from_numpy(there), "rgb": torch.ones(n)},
        expert_clips.caption_tokens([c.astype(np.float32) for c in captions], 4),
        np.arange(n + 1) * n_captions,
    )


CONFIG = CEConfig(
    (Expert("audio", 5, clusters=2, native_dim=5), Expert("rgb", 6)),
    text_dim=4,
    text_clusters=2,
    text_ghosts=1,
    shared_dim=8,
)
SETTINGS = ExpertSettings(epochs=4, batch=16, margin=0.2)


def trainer(folder, settings=SETTINGS, config=CONFIG, seed=0, **options) -> ExpertsTrainer:
    return ExpertsTrainer(
        seeded(config, seed), made_clips(60), made_clips(30, 1), settings, folder, {}, **options
    )


# ---- batches -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "split"), [(n, s[0]) for n, s in SPLITS.items()])
def test_batches_by_index_are_those_of_the_collated_set(tmp_path, name, split):
    config = make_tree(tmp_path, name, split)
    dims = {e.name: e.dim for e in from_official(config).experts}
    data = open_official(config, dims)
    train = expert_clips.from_official(data, "train")
    assert train.videos == tuple(data.train)
    rng = np.random.RandomState(3)
    expected = data.train_batch(range(len(data.train)), np.random.RandomState(3))
    captions = []
    for video in range(len(train)):
        n = train.first[video + 1] - train.first[video]
        captions.append(train.first[video] + (rng.choice(n, size=1)[0] if n > 1 else 0))
        rng.random_sample()
    experts, ind = train.batch(torch.arange(len(train)))
    for expert, array in expected["experts"].items():
        np.testing.assert_array_equal(experts[expert], np.nan_to_num(array))
        np.testing.assert_array_equal(ind[expert], expected["ind"][expert])
    np.testing.assert_array_equal(train.text(torch.tensor(captions)), expected["text"])

    val = expert_clips.from_official(data, "val")
    experts, ind = val.batch(torch.arange(len(val)))
    kept, flags = data.retrieval_experts()
    for expert, array in kept.items():
        np.testing.assert_array_equal(experts[expert], np.nan_to_num(array))
        np.testing.assert_array_equal(ind[expert], flags[expert])
    places, there = val.asked(data.reading.num_test_captions)
    np.testing.assert_array_equal(there, data.query_masks)
    text = val.text(torch.from_numpy(places.ravel())).reshape(*there.shape, *text_shape(val))
    text = text * torch.from_numpy(there)[..., None, None]
    np.testing.assert_array_equal(text, data.retrieval_text())


def text_shape(clips: ExpertClips) -> tuple[int, int]:
    return clips.captions.longest, clips.captions.rows.shape[1]


def test_some_of_the_clips_are_what_all_of_them_say():
    clips = made_clips(9)
    some = clips.only(np.arange(9) % 3 == 1)
    assert some.videos == ("video1", "video4", "video7")
    whole, part = (c.batch(torch.arange(len(c)))[0] for c in (clips, some))
    for name in whole:
        np.testing.assert_array_equal(part[name], whole[name][[1, 4, 7]])
    captions = clips.text(torch.arange(27)).reshape(9, 3, 4, 4)[[1, 4, 7]]
    np.testing.assert_array_equal(some.text(torch.arange(9)).reshape(3, 3, 4, 4), captions)


def test_clips_that_cannot_be_trained_on_are_refused():
    clips = made_clips(5)
    with pytest.raises(FileError, match="video3 has no caption"):
        replace(clips, first=np.array([0, 3, 6, 9, 9, 15])).checked()
    with pytest.raises(FileError, match="video2 has none of the experts audio, rgb"):
        none = torch.tensor([1.0, 1, 0, 1, 1])
        replace(clips, available={"audio": none, "rgb": none}).checked()
    with pytest.raises(FileError, match="rgb of video video1 is not finite"):
        rgb = clips.experts["rgb"].clone()
        rgb[1, 2] = float("nan")
        replace(clips, experts={**clips.experts, "rgb": rgb}).checked()


# ---- drawing by lot ------------------------------------------------------------------------------


def test_every_epoch_visits_each_video_once_with_a_caption_of_its_own():
    clips = made_clips(40)
    masks = np.ones(120, dtype=bool)
    masks[1::3] = False
    for limit, mask, left in ((0, None, {0, 1, 2}), (2, None, {0, 1}), (0, masks, {0, 2})):
        lot = Lot(allowed_captions(clips, limit, mask), SETTINGS)
        seen = set()
        for epoch in range(3):
            order, captions = lot.draw(epoch)
            assert sorted(order) == list(range(40))
            np.testing.assert_array_equal(captions // 3, order)
            seen |= set(captions % 3)
        assert seen == left
    assert not np.array_equal(lot.draw(0)[0], lot.draw(1)[0])
    np.testing.assert_array_equal(lot.draw(1)[1], lot.draw(1)[1])


@pytest.mark.parametrize("masked", [False, True])
def test_the_official_lot_draws_what_the_official_loader_draws(masked):
    """Written out as its `__getitem__` and the loader of torch go about it."""
    clips, settings = made_clips(10), replace(SETTINGS, batch=4, seed=5)
    masks = np.arange(30) % 3 != 1 if masked else None

    class Loaded(torch.utils.data.Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, i):
            p = masks[3 * i : 3 * i + 3] / masks[3 * i : 3 * i + 3].sum() if masked else None
            pick = np.random.choice(3, size=1, p=p)
            np.random.random_sample()
            return i, 3 * i + pick[0]

    np.random.seed(5)
    torch.manual_seed(5)
    loader = torch.utils.data.DataLoader(Loaded(), 4, shuffle=True, collate_fn=list)
    expected = [[pair for batch in loader for pair in batch] for _ in range(3)]
    torch.manual_seed(5)
    lot = OfficialLot(allowed_captions(clips, 0, masks), settings)
    first = lot.draw(0)
    state, torch_state = lot.state(), torch.get_rng_state()
    for _ in range(2):  # the second time from what was saved
        lot.restore(state)
        torch.set_rng_state(torch_state)
        for epoch, (order, captions) in enumerate([first, lot.draw(1), lot.draw(2)]):
            assert list(zip(order, captions, strict=True)) == expected[epoch]


def test_masks_that_leave_nothing_are_refused():
    masks = np.ones(30, dtype=bool)
    masks[6:9] = False
    with pytest.raises(SettingsError, match="leave video video2 without a caption"):
        allowed_captions(made_clips(10), 0, masks)
    with pytest.raises(SettingsError, match="29 elements for 30 captions"):
        allowed_captions(made_clips(10), 0, masks[1:])


# ---- the loop ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"use_ce": "", "mimic_ce_dims": True},
        {"use_ce": ""},
        {"use_ce": "", "freeze_weights": True},
    ],
)
def test_a_run_learns(tmp_path, variant):
    settings = replace(SETTINGS, epochs=25, optimiser_args={"lr": 0.05})
    run = trainer(tmp_path, settings, replace(CONFIG, **variant))
    before = run.validate()["val_t2v_R@10"]
    best = run.run()
    assert best["val_t2v_R@10"] > max(60, before + 15)
    assert best["loss"] < run.curves[0]["loss"]
    state = read_checkpoint(tmp_path / BEST)
    assert state["arch"] == "CENet" and state["epoch"] == best["epoch"]
    assert state["monitor_best"] == best["val_t2v_Geom"]
    assert {"state_dict", "config", "optimizer"} <= set(state)
    assert len((tmp_path / LOG).read_text().splitlines()) == 25


def test_the_model_is_left_with_the_weights_of_the_best_epoch(tmp_path):
    for every in (1, 0):
        run = trainer(tmp_path / str(every), replace(SETTINGS, save_every=every))
        best = run.run()
        val = made_clips(30, 1)
        captions, there = val.asked(1)
        sims = similarities(run.model, val, captions.ravel(), val, chunk=7)
        assert summarise(t2v_ranks(sims, mask=there))["Geom"] == best["val_t2v_Geom"]
        weights = read_checkpoint(tmp_path / str(every) / BEST)["state_dict"]
        for name, value in run.model.state_dict().items():
            torch.testing.assert_close(value, weights[name], rtol=0, atol=0)


def test_a_step_is_loss_and_distillation_of_its_batch(tmp_path):
    from retrieval.losses import distillation, max_margin_ranking

    rng = np.random.default_rng(0)
    taught = Taught(
        torch.from_numpy(rng.standard_normal((60, 3)).astype(np.float32)),
        torch.from_numpy(rng.standard_normal((180, 3)).astype(np.float32)),
    )
    run, plain = trainer(tmp_path / "a", teachers=[taught]), trainer(tmp_path / "b")
    videos, captions = torch.tensor([3, 9, 4, 30]), torch.tensor([9, 28, 14, 91])
    plain.model.train()
    experts, ind = plain.train.batch(videos)
    sims = plain.model(experts, ind, plain.train.text(captions))["cross_view_conf_matrix"]
    by_hand = taught.text[captions] @ taught.video[videos].T
    expected = max_margin_ranking(sims, 0.2) + distillation(sims, [by_hand])
    run.model.train()
    torch.testing.assert_close(run._step(videos, captions), expected.detach())


def test_a_single_video_at_the_end_of_an_epoch_is_left_out(tmp_path):
    run = trainer(tmp_path, replace(SETTINGS, epochs=1, batch=59))
    assert np.isfinite(run.run()["loss"])


@pytest.mark.parametrize("lot", ["own", "official"])
def test_a_run_goes_on_with_the_numbers_of_an_unbroken_one(tmp_path, lot):
    settings = replace(SETTINGS, lot=lot)
    whole = trainer(tmp_path / "whole", settings)
    whole.run()
    half = trainer(tmp_path / "half", settings)
    half.one_epoch()
    half.one_epoch()
    np.random.seed(99)
    torch.manual_seed(99)
    rest = trainer(tmp_path / "half", settings, seed=4)
    assert rest.epoch == 2
    rest.run()
    assert rest.curves == whole.curves
    with pytest.raises(ModelError, match="other settings"):
        trainer(tmp_path / "half", replace(settings, margin=0.1))


KILLED = """
import sys
sys.path[:0] = ["tests", "."]
from test_experts_trainer import SETTINGS, trainer
from dataclasses import replace
trainer(sys.argv[1], replace(SETTINGS, epochs=40, lot="official"), report=print).run()
"""


def test_a_killed_run_goes_on_with_the_numbers_of_an_unbroken_one(tmp_path):
    command = [sys.executable, "-c", KILLED]
    process = subprocess.Popen([*command, str(tmp_path / "a")], cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    log = tmp_path / "a" / LOG
    while not (log.exists() and len(log.read_text().splitlines()) > 3):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "a" / "config.json").exists()  # it was not at its end
    subprocess.run([*command, str(tmp_path / "a")], cwd=ROOT, check=True, capture_output=True)
    whole = trainer(tmp_path / "b", replace(SETTINGS, epochs=40, lot="official"))
    whole.run()
    assert log.read_text() == (tmp_path / "b" / LOG).read_text()
    killed, unbroken = (read_checkpoint(tmp_path / run / BEST) for run in "ab")
    assert killed["epoch"] == unbroken["epoch"]
    for name, value in unbroken["state_dict"].items():
        torch.testing.assert_close(killed["state_dict"][name], value, rtol=0, atol=0)
    assert (tmp_path / "b" / LAST).exists()


def test_official_sections_say_how_to_train(tmp_path):
    config = make_tree(tmp_path, "MSRVTT", "full-val")
    config |= {
        "trainer": {"epochs": 3},
        "optimizer": {"type": "Ranger", "args": {"lr": 0.01, "weight_decay": 0.001}},
        "lr_scheduler": {"type": "StepLR", "args": {"step_size": 1, "gamma": 0.95}},
        "loss": {"type": "MaxMarginRankingLoss", "args": {"margin": 0.1, "fix_norm": True}},
    }
    settings = ExpertSettings.from_official(config, seed=2)
    assert (settings.epochs, settings.batch, settings.seed) == (3, 4, 2)
    assert settings.lot == "official" and settings.val_captions == 20
    dims = {e.name: e.dim for e in from_official(config).experts}
    data = open_official(config, dims)
    for teachers in ((), [Taught(torch.ones(6, 3), torch.ones(120, 3))]):
        run = ExpertsTrainer(
            seeded(replace(from_official(config), text_dim=7), 2),
            expert_clips.from_official(data, "train"),
            expert_clips.from_official(data, "val"),
            settings,
            tmp_path / f"run{len(teachers)}",
            config,
            teachers=teachers,
        )
        assert np.isfinite(run.run()["val_t2v_Geom"])
    for section in ("loss", "trainer", "optimizer"):
        with pytest.raises(SettingsError, match=section):
            ExpertSettings.from_official({k: v for k, v in config.items() if k != section})
