"""Official feature trees: lists, features, captions, batches, gaps."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from retrieval.datasets.official import OfficialSet, open_official, read_list
from retrieval.datasets.trees import TREES, expert_files, get_tree, named_files, split_lists
from retrieval.errors import FileError, SettingsError
from tests.made_trees import EXPERTS, FUSED, SENET, SPLITS, TOKENS, make_tree
from tests.reference_loader import retrieval_experts, retrieval_text, train_batch

CASES = [(name, split) for name, splits in SPLITS.items() for split in splits if split != "miech"]


def opened(tmp_path: Path, name: str = "MSRVTT", split: str = "full-val", **changes) -> OfficialSet:
    config = make_tree(tmp_path, name, split)
    for path, value in changes.items():
        section = config
        *parents, last = path.split("__")
        for key in parents:
            section = section[key]
        section[last] = value
    return open_official(config, EXPERTS[name])


def stored(tmp_path: Path, name: str, file: str) -> dict:
    return pickle.loads((tmp_path / TREES[name].folder / "structured-symlinks" / file).read_bytes())


@pytest.mark.parametrize(("name", "split"), CASES)
def test_every_data_set_opens_and_collates(tmp_path, name, split):
    data = opened(tmp_path, name, split)
    assert len(data.train) == 6 and len(data.val) == 4
    batch = train_batch(data, [3, 0, 1], np.random.RandomState(0))
    experts, ind = retrieval_experts(data)
    for expert, dim in EXPERTS[name].items():
        inner = (TOKENS[expert], dim) if expert in ("audio", "ocr", "speech") else (dim,)
        assert batch["experts"][expert].shape == (3, *inner)
        assert experts[expert].shape == (4, *inner)
        for some, flags in ((batch["experts"], batch["ind"]), (experts, ind)):
            gone = np.isnan(some[expert]).reshape(len(flags[expert]), -1)
            np.testing.assert_array_equal(gone.any(axis=1), flags[expert] == 0)
            np.testing.assert_array_equal(gone.all(axis=1), flags[expert] == 0)
    assert list(batch["experts"]) == list(EXPERTS[name])
    assert batch["text"].shape == (3, 1, TOKENS["text"], 7)
    assert retrieval_text(data).shape == (4, data.reading.num_test_captions, TOKENS["text"], 7)
    assert data.query_masks.shape == (4, data.reading.num_test_captions)
    assert (data.query_masks[:, 0] == 1).all()
    assert set(data.captions) == {*data.train, *data.val}


def test_a_batch_holds_what_the_files_hold(tmp_path):
    data = opened(tmp_path)
    batch = train_batch(data, [2, 4], np.random.RandomState(5))
    senet = stored(tmp_path, "MSRVTT", f"{named_files(SENET, how())[0]}")
    ocr = stored(tmp_path, "MSRVTT", "aggregated_ocr_feats/ocr-raw.pickle")
    np.testing.assert_array_equal(batch["experts"][SENET][1], senet["video4"][0])
    assert isinstance(ocr["video4"], float) and batch["ind"]["ocr"].tolist() == [1, 0]
    tokens = ocr["video2"]
    np.testing.assert_array_equal(batch["experts"]["ocr"][0, : len(tokens)], tokens[:4])
    assert (batch["experts"]["ocr"][0, len(tokens) :] == 0).all()
    assert batch["ind"]["ocr"].dtype == np.float64
    assert batch["experts"]["ocr"].dtype == batch["text"].dtype == np.float32


def how() -> dict:
    return {"fps": 25, "pixel_dim": 256, "stride": 1, "offset": 0, "temporal": "avg"}


def test_captions_are_drawn_as_the_official_loader_draws_them(tmp_path):
    """One choice and one random number a video, in the order of the batch."""
    data = opened(tmp_path)
    text = stored(tmp_path, "MSRVTT", "aggregated_text_feats/w2v_MSRVTT_openAIGPT.pickle")
    rng, own = np.random.RandomState(3), np.random.RandomState(3)
    for indices in ([5, 0, 2], [1, 3, 4]):
        batch = train_batch(data, indices, own)
        for row, i in enumerate(indices):
            each = text[f"video{i}"]
            tokens = each[rng.choice(len(each), size=1)[0]]
            rng.random()
            kept = min(len(tokens), TOKENS["text"])
            np.testing.assert_array_equal(batch["text"][row, 0, :kept], tokens[:kept])
            assert batch["text_token_mask"][row, 0] == kept
            assert (batch["text"][row, 0, kept:] == 0).all()


@pytest.mark.parametrize("name", FUSED)
def test_fused_captions_are_one_and_draw_no_caption(tmp_path, name):
    split = SPLITS[name][0]
    data = opened(tmp_path, name, split)
    batch = train_batch(data, [0], np.random.RandomState(0))
    whole = np.vstack(data.text["video0"])[: TOKENS["text"]]
    np.testing.assert_array_equal(batch["text"][0, 0, : len(whole)], whole)
    np.testing.assert_array_equal(
        retrieval_text(data)[0, 0], np.vstack(data.text["video6"])[: TOKENS["text"]]
    )
    assert data.query_masks.tolist() == [[1]] * 4


def test_missing_captions_are_masked(tmp_path):
    data = opened(tmp_path, "MSRVTT", "full-test")
    assert data.query_masks.sum() == 4 * 20 - 1
    assert data.query_masks[1, 19] == 0
    assert (retrieval_text(data)[1, 19] == 0).all()


def test_one_fixed_caption_of_each_video_is_asked_on_1k_a(tmp_path):
    data = opened(tmp_path, "MSRVTT", "jsfusion")
    for i in range(4):
        tokens = data.text[f"video{6 + i}"][i][: TOKENS["text"]]
        np.testing.assert_array_equal(retrieval_text(data)[i, 0, : len(tokens)], tokens)
    assert data.query_masks.shape == (4, 1)


def test_the_text_of_msvd_is_found_by_its_keys(tmp_path):
    data = opened(tmp_path, "MSVD", "dev")
    expected = stored(tmp_path, "MSVD", "aggregated_text_feats/w2v.pkl")
    for video in [*data.train, *data.val]:
        for one, other in zip(data.text[video], expected[video], strict=True):
            np.testing.assert_array_equal(one, other)


def test_experts_that_are_not_flaky_count_as_there_in_training_only(tmp_path):
    config = make_tree(tmp_path, "MSRVTT", "full-val")
    root = tmp_path / "MSRVTT" / "structured-symlinks"
    path = expert_files(root, "MSRVTT", "full-val", SENET, how())[0]
    values = pickle.loads(path.read_bytes())
    values["video0"] = values["video7"] = float("nan")
    path.write_bytes(pickle.dumps(values))
    data = open_official(config, EXPERTS["MSRVTT"])
    batch = train_batch(data, [0, 1], np.random.RandomState(0))
    assert batch["ind"][SENET].tolist() == [1, 1] and np.isnan(batch["experts"][SENET][0]).all()
    experts, ind = retrieval_experts(data)
    assert ind[SENET].tolist() == [1, 0, 1, 1] and np.isnan(experts[SENET][1]).all()


def test_caption_masks_say_what_may_be_drawn(tmp_path):
    data = opened(tmp_path, caption_masks="masks.pkl")
    rng, own = np.random.RandomState(1), np.random.RandomState(1)
    for _ in range(30):
        batch = train_batch(data, [2], own)
        mask = data.masks["video2"] / data.masks["video2"].sum()
        pick = rng.choice(20, size=1, p=mask)[0]
        rng.random()
        assert pick % 2 == 0
        tokens = data.text["video2"][pick][: TOKENS["text"]]
        np.testing.assert_array_equal(batch["text"][0, 0, : len(tokens)], tokens)


def test_teachers_give_the_vectors_of_the_drawn_captions(tmp_path):
    data = opened(tmp_path, distil_params={"base_path": "teachers/", "teachers": ["one.pkl"] * 2})
    rng = np.random.RandomState(4)
    batch = train_batch(data, [5, 1], np.random.RandomState(4))
    assert len(batch["distil_text"]) == len(batch["distil_video"]) == 2
    for row, video in enumerate(("video5", "video1")):
        pick = rng.choice(20, size=1)[0]
        rng.random()
        taught = data.teachers[0][video]
        np.testing.assert_array_equal(
            batch["distil_text"][0]["face"][row, 0], taught["text_embds"]["face"][pick]
        )
        np.testing.assert_array_equal(
            batch["distil_video"][1]["face"][row], taught["vid_embds"]["face"]
        )


def test_averaged_text_is_one_token(tmp_path):
    data = opened(tmp_path, experts__text_agg="avg")
    text = retrieval_text(data)
    np.testing.assert_allclose(text[0, 0, 0], data.text["video6"][0].mean(axis=0), rtol=1e-6)
    assert (text[:, :, 1:] == 0).all()


def test_dropout_leaves_some_tokens(tmp_path):
    data = opened(tmp_path, data_loader__args__text_dropout=1.0)
    rng, own = np.random.RandomState(6), np.random.RandomState(6)
    batch = train_batch(data, [0], own)
    tokens = data.text["video0"][rng.choice(20, size=1)[0]]
    rng.random()
    kept = tokens[rng.random(len(tokens)) > 0.5][: TOKENS["text"]]
    np.testing.assert_array_equal(batch["text"][0, 0, : len(kept)], kept)


def test_restricted_captions_are_the_first_ones(tmp_path):
    data = opened(tmp_path, data_loader__args__restrict_train_captions=1)
    for _ in range(5):
        batch = train_batch(data, [0], np.random.RandomState())
        first = data.text["video0"][0][: TOKENS["text"]]
        np.testing.assert_array_equal(batch["text"][0, 0, : len(first)], first)
    assert data.query_masks.sum() == 80 - 1  # evaluated videos keep theirs


def test_the_miech_split_has_files_of_its_own(tmp_path):
    files = [expert_files(tmp_path, "MSRVTT", "miech", e, {})[0] for e in ("antoine-rgb", "face")]
    assert [f"{file.parent.name}/{file.name}" for file in files] == [
        "antoine/resnet_features.pickle",
        "antoine/facefeats-clone.pickle",
    ]
    assert split_lists("MSRVTT", "miech") == ("train_list_miech.txt", "test_list_miech.txt")


def test_paths_follow_from_names():
    assert named_files(SENET, {**how(), "temporal": "avg-max", "type": "logits"}) == [
        "aggregated_imagenet_25fps_256px_stride1_offset0/senet154-avg-logits.pickle",
        "aggregated_imagenet_25fps_256px_stride1_offset0/senet154-max-logits.pickle",
    ]
    s3d = {"fps": 10, "pixel_dim": 256, "stride": 16, "inner_stride": 1, "num_segments": None}
    assert named_files("s3dg.s3dg.0", {**s3d, "temporal": "avg", "type": "embed"}) == [
        "aggregated_s3dg_10fps_256px_stride16_inner_stride1/s3dg-avg.pickle"
    ]
    assert named_files("ocr.mine.0", {"temporal": "vlad"}) == ["aggregated_ocr/mine-vlad.pickle"]


def test_lists_of_file_names_lose_their_endings(tmp_path):
    assert opened(tmp_path, "DiDeMo", "val").train[0] == "video0"


def test_empty_lines_of_a_list_name_no_video(tmp_path):
    path = tmp_path / "train_list.txt"
    path.write_text("video0\n\nvideo1\r\n  \n\n")
    assert read_list(path, bare=False) == ["video0", "video1"]


def test_a_path_that_repeats_its_folder_is_found_too(tmp_path):
    config = make_tree(tmp_path, "QuerYD", "val")
    root = tmp_path / "QuerYD" / "structured-symlinks"
    (root / "structured-symlinks").mkdir()
    name = "raw_captions_combined_filtered.pkl"
    (root / name).rename(root / "structured-symlinks" / name)
    assert open_official(config, EXPERTS["QuerYD"]).captions


def test_evaluation_alone_reads_no_training_video(tmp_path):
    config = make_tree(tmp_path, "MSRVTT", "full-val")
    (tmp_path / "MSRVTT" / "structured-symlinks" / "train_list_full.txt").unlink()
    data = open_official(config, EXPERTS["MSRVTT"], eval_only=True)
    assert data.train == [] and set(data.text) == set(data.val)


def test_the_order_of_experts_is_the_caller_s(tmp_path):
    config = make_tree(tmp_path, "QuerYD", "val")
    dims = dict(sorted(EXPERTS["QuerYD"].items(), reverse=True))
    assert list(open_official(config, dims).experts) == list(dims)


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda c, r: c["data_loader"]["args"].update(dataset_name="TRECVID"), SettingsError,
         "unknown data set 'TRECVID'; available: MSRVTT"),
        (lambda c, r: c["data_loader"]["args"].update(split_name="half"), SettingsError,
         "MSVD has no split 'half'; available: dev, official"),
        (lambda c, r: c["data_loader"]["args"].update(num_test_captions=3), SettingsError,
         "num_test_captions of MSVD must be 81, got 3"),
        (lambda c, r: (r / "train_list.txt").unlink(), FileNotFoundError,
         "structured-symlinks/train_list.txt is not there"),
        (lambda c, r: (r / "aggregated_face_feats/face-avg.pickle").unlink(), FileNotFoundError,
         "no features of face: aggregated_face_feats/face-avg.pickle is not there"),
        (lambda c, r: (r / "train_list.txt").write_text("stranger\n"), FileError,
         "the features of face do not know video stranger"),
    ],
)  # fmt: skip
def test_trees_that_do_not_fit_are_told_in_a_sentence(tmp_path, spoil, error, message):
    config = make_tree(tmp_path, "MSVD", "dev")
    spoil(config, tmp_path / "MSVD" / "structured-symlinks")
    with pytest.raises(error, match=message):
        open_official(config, EXPERTS["MSVD"])


def test_a_network_trains_on_a_batch(tmp_path):
    torch = pytest.importorskip("torch")
    from retrieval.losses import max_margin_ranking
    from retrieval.models import build, from_official

    config = make_tree(tmp_path, "MSRVTT", "full-val", text_dim=768)
    settings = from_official(config)
    model = build(settings).train()
    data = open_official(config, {e.name: e.dim for e in settings.experts})
    batch = train_batch(data, [0, 1, 2, 3], np.random.RandomState(0))
    tensors = {
        key: {name: torch.from_numpy(x) for name, x in batch[key].items()}
        for key in ("experts", "ind")
    }
    sims = model(**tensors, text=torch.from_numpy(batch["text"]))["cross_view_conf_matrix"]
    max_margin_ranking(sims, 0.1).backward()
    assert torch.isfinite(model.ce.moe_fc.weight.grad).all()
    experts, ind = retrieval_experts(data)
    out = model.eval()(
        {name: torch.from_numpy(x) for name, x in experts.items()},
        {name: torch.from_numpy(x) for name, x in ind.items()},
        torch.from_numpy(retrieval_text(data)),
    )
    assert out["cross_view_conf_matrix"].shape == (4 * 20, 4)


def test_a_second_start_gives_the_same_batches(tmp_path):
    config = make_tree(tmp_path, "MSVD", "dev")
    batches = []
    for _ in range(2):
        data = open_official(config, EXPERTS["MSVD"], cache=tmp_path / "cache")
        batches.append(train_batch(data, [4, 1], np.random.RandomState(2)))
    assert isinstance(data.text.rows, np.memmap)
    for key in ("experts", "ind"):
        for name, array in batches[0][key].items():
            np.testing.assert_array_equal(batches[1][key][name], array)
    np.testing.assert_array_equal(batches[1]["text"], batches[0]["text"])
    assert len(data.text) == 10 and "unused" not in data.text


def test_known_data_sets_are_listed():
    assert len(TREES) == 10 and get_tree("ActivityNet").folder == "activity-net"
