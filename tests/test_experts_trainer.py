"""Training of the expert family: batches by index, a run that learns, one killed that goes on."""

import math
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
from retrieval.training.distilling import Taught  # noqa: E402
from retrieval.training.expert_clips import ExpertClips, Tokens, similarities  # noqa: E402
from retrieval.training.expert_settings import ExpertSettings  # noqa: E402
from retrieval.training.experts_trainer import (  # noqa: E402
    BEST,
    LAST,
    LOG,
    ExpertsTrainer,
    read_checkpoint,
    seeded,
)
from retrieval.training.lots import Lot, OfficialLot, allowed_captions  # noqa: E402
from tests.reference_ce import max_margin_by_definition  # noqa: E402
from tests.reference_loader import experts_of, retrieval_experts, retrieval_text, train_batch  # noqa: E402

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
    expected = train_batch(data, range(len(data.train)), np.random.RandomState(3))
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
    kept, flags = retrieval_experts(data)
    for expert, array in kept.items():
        np.testing.assert_array_equal(experts[expert], np.nan_to_num(array))
        np.testing.assert_array_equal(ind[expert], flags[expert])
    places, there = val.asked(data.reading.num_test_captions)
    np.testing.assert_array_equal(there, data.query_masks)
    text = val.text(torch.from_numpy(places.ravel())).reshape(*there.shape, *text_shape(val))
    text = text * torch.from_numpy(there)[..., None, None]
    np.testing.assert_array_equal(text, retrieval_text(data))


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
    sound = clips.experts["audio"]
    rows = sound.rows.clone()
    rows[3, 1] = float("inf")  # of the second video that has sound
    second = clips.videos[int(clips.available["audio"].nonzero()[1])]
    with pytest.raises(FileError, match=f"audio of video {second} is not finite"):
        replace(clips, experts={**clips.experts, "audio": replace(sound, rows=rows)}).checked()
    rows = clips.captions.rows.clone()
    rows[12 * 3, 0] = float("nan")  # the first token of the first caption of video4
    with pytest.raises(FileError, match="the text features of video video4 are not finite"):
        replace(clips, captions=replace(clips.captions, rows=rows)).checked()


def test_tokens_are_left_out_and_the_first_of_the_others_taken():
    tokens = expert_clips.caption_tokens(
        [np.arange(8.0).reshape(4, 2), np.ones((1, 2)), 10 + np.arange(6.0).reshape(3, 2)],
        longest=2,
        whole=True,
    )
    kept = np.array([True, False, True, False, True, True, False])  # of the last one, and the first
    thinned = tokens.thinned(np.array([2, 0]), kept)
    np.testing.assert_array_equal(
        thinned.take(torch.arange(2)), [[[10, 11], [14, 15]], [[2, 3], [4, 5]]]
    )
    none = tokens.thinned(np.array([1]), np.array([False]))
    np.testing.assert_array_equal(none.take(torch.arange(1)), np.zeros((1, 2, 2)))


def test_an_expert_that_is_only_marked_is_ones_where_it_is_there(tmp_path):
    config = make_tree(tmp_path, "MSRVTT", "full-val")
    how = config["data_loader"]["args"]["feat_aggregation"]
    how["ocr"]["binarise"] = how["face"]["binarise"] = True
    settings = from_official(config)
    data = open_official(config, {e.name: e.dim for e in settings.experts})
    for part, (expected, _) in (
        ("train", experts_of(data, data.train, data.reading.flaky)),
        ("val", retrieval_experts(data)),
    ):
        clips = expert_clips.from_official(data, part)
        experts, ind = clips.batch(torch.arange(len(clips)))
        for name in ("ocr", "face"):
            assert 0 < ind[name].sum() < len(clips)
            there = ind[name].reshape(-1, *[1] * (experts[name].ndim - 1))
            np.testing.assert_array_equal(experts[name], there.expand(experts[name].shape))
            np.testing.assert_array_equal(experts[name], np.nan_to_num(expected[name]))


def test_a_training_caption_without_tokens_is_one_of_zeros(tmp_path):
    config = make_tree(tmp_path, "MSRVTT", "full-val")
    data = open_official(config, {e.name: e.dim for e in from_official(config).experts})
    data.text.tokens[1:] -= 2  # the first caption of the first video had two
    clips = expert_clips.from_official(data, "train")
    assert (clips.text(torch.tensor([0])) == 0).all()
    data.text.tokens[data.text.captions[data.text.place["video6"]] + 1 :] -= len(
        data.text["video6"][0]
    )
    with pytest.raises(FileError, match="a caption of video video6 has no token"):
        expert_clips.from_official(data, "val")


# ---- drawing by lot ------------------------------------------------------------------------------


def test_every_epoch_visits_each_video_once_with_a_caption_of_its_own():
    clips = made_clips(40)
    masks = np.ones(120, dtype=bool)
    masks[1::3] = False
    for limit, mask, left in ((0, None, {0, 1, 2}), (2, None, {0, 1}), (0, masks, {0, 2})):
        lot = Lot(allowed_captions(clips, limit, mask), SETTINGS)
        seen = set()
        for epoch in range(3):
            order, captions, kept = lot.draw(epoch)
            assert kept is None
            assert sorted(order) == list(range(40))
            np.testing.assert_array_equal(captions // 3, order)
            seen |= set(captions % 3)
        assert seen == left
    assert not np.array_equal(lot.draw(0)[0], lot.draw(1)[0])
    np.testing.assert_array_equal(lot.draw(1)[1], lot.draw(1)[1])


@pytest.mark.parametrize(
    "masked, n_workers, drop_last", [(False, 0, False), (True, 0, True), (False, 2, False)]
)
def test_the_official_lot_draws_what_the_official_loader_draws(masked, n_workers, drop_last):
    """Written out as its `__getitem__` and the loader of torch go about it."""
    clips = made_clips(10)
    settings = replace(SETTINGS, batch=4, seed=5, n_workers=n_workers, drop_last=drop_last)
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
    loader = torch.utils.data.DataLoader(
        Loaded(),
        4,
        shuffle=True,
        drop_last=drop_last,
        collate_fn=list,
        num_workers=n_workers,
        multiprocessing_context="fork" if n_workers else None,
    )
    expected = [[pair for batch in loader for pair in batch] for _ in range(3)]
    torch.manual_seed(5)
    lot = OfficialLot(allowed_captions(clips, 0, masks), settings)
    first = lot.draw(0)
    state, torch_state = lot.state(), torch.get_rng_state()
    for _ in range(2):  # the second time from what was saved
        lot.restore(state)
        torch.set_rng_state(torch_state)
        for epoch, (order, captions, _) in enumerate([first, lot.draw(1), lot.draw(2)]):
            assert list(zip(order, captions, strict=True)) == expected[epoch]


@pytest.mark.parametrize("masked", [False, True])
def test_dropout_draws_as_the_official_loader_does(masked):
    """Written out as its `__getitem__` goes about it, over all of a caption's tokens."""
    clips = made_clips(10)
    rng = np.random.default_rng(3)
    lengths = rng.integers(1, 9, 30)
    words = [rng.standard_normal((n, 4)).astype(np.float32) for n in lengths]
    clips = replace(clips, captions=expert_clips.caption_tokens(words, 4, whole=True))
    masks = np.arange(30) % 3 != 1 if masked else None
    settings = replace(SETTINGS, batch=4, seed=5, text_dropout=0.6)

    torch.manual_seed(5)
    order = [i for batch in torch.utils.data.DataLoader(range(10), 4, shuffle=True) for i in batch]
    expected = []
    np.random.seed(5)
    for i in map(int, order):
        p = masks[3 * i : 3 * i + 3] / masks[3 * i : 3 * i + 3].sum() if masked else None
        text = words[3 * i + np.random.choice(3, size=1, p=p)[0]]
        if np.random.random() < 0.6:
            text = text[np.random.random(len(text)) > 0.5]
        row = np.zeros((4, 4), dtype=np.float32)
        row[: len(text)] = text[:4]
        expected.append(row)

    torch.manual_seed(5)
    videos, captions, kept = OfficialLot(allowed_captions(clips, 0, masks), settings).draw(0)
    assert videos.tolist() == [int(i) for i in order]
    thinned = clips.captions.thinned(captions, kept)
    np.testing.assert_array_equal(thinned.take(torch.arange(10)), np.stack(expected))


def test_our_own_dropout_leaves_half_of_the_tokens_of_some_captions():
    clips = made_clips(400)
    allowed = allowed_captions(clips)
    order, captions, kept = Lot(allowed, replace(SETTINGS, text_dropout=0.25)).draw(1)
    plain = Lot(allowed, SETTINGS).draw(1)
    np.testing.assert_array_equal(order, plain[0])
    np.testing.assert_array_equal(captions, plain[1])
    whole = kept.reshape(400, 3).all(axis=1).mean()
    assert abs(whole - (0.75 + 0.25 / 8)) < 0.06 and abs(kept.mean() - 0.875) < 0.04


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
        loss = max_margin_by_definition(sims, SETTINGS.margin, fix_norm=True)
        np.testing.assert_allclose(best["val_first_query_loss"], loss, rtol=1e-5)
        state = read_checkpoint(tmp_path / str(every) / BEST)
        weights = state["state_dict"]
        if every:  # the optimiser's state is of that epoch, not of the last
            n_steps = math.ceil(len(run.train) / SETTINGS.batch) * best["epoch"]
            assert {each["step"] for each in state["optimizer"]["state"].values()} == {n_steps}
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


def steps_of(run) -> list[int]:
    """Videos in each step of an epoch."""
    sizes, step = [], run._step

    def counted(videos, captions, text=None):
        assert text is None or len(text) == len(videos)
        sizes.append(len(videos))
        return step(videos, captions, text)

    run._step = counted
    run.one_epoch()
    return sizes


def test_the_last_videos_are_left_out_where_settings_say_so(tmp_path):
    assert steps_of(trainer(tmp_path / "a", replace(SETTINGS, batch=25))) == [25, 25, 10]
    some = replace(SETTINGS, batch=25, drop_last=True, text_dropout=0.5)
    assert steps_of(trainer(tmp_path / "b", some)) == [25, 25]
    with pytest.raises(SettingsError, match="names 60 videos, which make no batch"):
        trainer(tmp_path / "c", replace(SETTINGS, batch=61, drop_last=True))


def test_a_single_training_video_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="the training list names 1 videos, which make no bat"):
        ExpertsTrainer(seeded(CONFIG, 0), made_clips(1), None, SETTINGS, tmp_path, {})


def test_the_monitored_figure_says_which_epoch_is_best(tmp_path):
    rows = [
        {"epoch": 1, "val_t2v_Geom": 3.0, "val_v2t_MdR": 2.0},
        {"epoch": 2, "val_t2v_Geom": 2.0, "val_v2t_MdR": 1.5},
        {"epoch": 3, "val_t2v_Geom": 1.0, "val_v2t_MdR": 1.5},
    ]
    for monitor, best in (("max val_t2v_Geom", 1), ("min val_v2t_MdR", 3)):
        run = trainer(tmp_path / str(best), replace(SETTINGS, monitor=monitor))
        run.curves = rows
        assert run.best["epoch"] == best


def test_what_tensorboard_reads_is_what_the_log_holds(tmp_path):
    """Of two processes that broke off between an epoch and its state, the first in epoch 1."""
    loading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    settings = replace(SETTINGS, epochs=3)
    trainer(tmp_path, settings).one_epoch()
    (tmp_path / LAST).unlink()
    run = trainer(tmp_path, settings)
    run.one_epoch()
    run.one_epoch()
    state = (tmp_path / LAST).read_bytes()
    run.one_epoch()
    (tmp_path / LAST).write_bytes(state)
    rest = trainer(tmp_path, settings)
    rest.run()
    trainer(tmp_path, settings).run()  # nothing is left to do, and no file is begun
    assert len(list(tmp_path.glob("events.*"))) == 3
    found = loading.EventAccumulator(str(tmp_path)).Reload()
    assert set(found.Tags()["scalars"]) == set(rest.curves[0])
    for name in rest.curves[0]:
        events = found.Scalars(name)
        assert [event.step for event in events] == [1, 2, 3]
        np.testing.assert_allclose(
            [event.value for event in events], [row[name] for row in rest.curves], rtol=1e-6
        )


def test_a_config_can_do_without_tensorboard(tmp_path):
    config = {"trainer": {"tensorboard": False}}
    ExpertsTrainer(seeded(CONFIG, 0), made_clips(20), None, SETTINGS, tmp_path, config).one_epoch()
    assert not list(tmp_path.glob("events.*"))


def test_without_tensorboardx_a_run_says_so_before_it_begins(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(SettingsError, match="pip install tensorboardX"):
        trainer(tmp_path)


def test_a_run_from_before_a_setting_was_known_goes_on(tmp_path):
    run = trainer(tmp_path)
    run.one_epoch()
    state = torch.load(tmp_path / LAST, weights_only=True)
    for name in ("monitor", "text_dropout", "drop_last"):
        del state["config"]["settings"][name]
    torch.save(state, tmp_path / LAST)
    assert trainer(tmp_path).epoch == 1


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
    deadline = time.monotonic() + 240
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


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("trainer", {"epochs": 3, "save_period": 10},
         "trainer.epochs 3 is below trainer.save_period 10, so that nothing would be saved"),
        ("trainer", {"epochs": 3, "monitor": "max epoch"}, "unknown trainer.monitor 'max epoch'"),
        ("loader", {"text_dropout": 0.1, "fuse_captions": True}, "cannot be combined with fuse_c"),
        ("loader", {"text_dropout": 2.0}, "text_dropout is a chance of 0 to 1, got 2.0"),
        ("loader", {"batch_size": 1}, "batch >= 2"),
    ],
)  # fmt: skip
def test_official_sections_that_cannot_be_trained_are_told(tmp_path, section, values, message):
    config = make_tree(tmp_path, "MSRVTT", "full-val")
    config |= {
        "trainer": {"epochs": 3},
        "optimizer": {"type": "Ranger"},
        "lr_scheduler": {"type": "StepLR"},
        "loss": {"type": "MaxMarginRankingLoss"},
    }
    changed = config["trainer"] if section == "trainer" else config["data_loader"]["args"]
    changed.update(values)
    with pytest.raises(SettingsError, match=message):
        ExpertSettings.from_official(config)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"eval_mode": "fixed_epochs"}, "unknown eval_mode 'fixed_epochs'; give test_run, which"),
        ({"optimizer": {"args": {"lr": 0.1}}}, "the config lacks 'type'"),
        ({"loss": {"type": "CrossEntropyLoss"}}, "unknown loss 'CrossEntropyLoss'"),
    ],
)
def test_modes_that_nothing_knows_are_told(tmp_path, values, message):
    config = make_tree(tmp_path, "MSRVTT", "full-val") | {
        "trainer": {"epochs": 3},
        "optimizer": {"type": "Ranger"},
        "lr_scheduler": {"type": "StepLR"},
        "loss": {"type": "MaxMarginRankingLoss"},
    }
    with pytest.raises(SettingsError, match=message):
        ExpertSettings.from_official(config | values)


def test_the_last_epoch_needs_no_monitor(tmp_path):
    config = make_tree(tmp_path, "MSRVTT", "jsfusion") | {
        "eval_mode": "fixed_num_epochs",
        "trainer": {"epochs": 3, "monitor": "max epoch"},
        "optimizer": {"type": "Ranger"},
        "lr_scheduler": {"type": "StepLR"},
        "loss": {"type": "MaxMarginRankingLoss"},
    }
    assert ExpertSettings.from_official(config).select == "last"
    config |= {"eval_mode": "test_run"}
    config["trainer"]["monitor"] = "min val_v2t_metrics_MedR"
    assert ExpertSettings.from_official(config).monitor == "min val_v2t_MdR"
