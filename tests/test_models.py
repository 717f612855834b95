"""Networks against their definition, written slowly in tests/reference_ce.py."""

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from retrieval.errors import ModelError, SettingsError  # noqa: E402
from retrieval.losses import max_margin_ranking  # noqa: E402
from retrieval.models import (  # noqa: E402
    CEConfig,
    Expert,
    MNNetConfig,
    build,
    load_weights,
)
from retrieval.models.collaboration import grouped_batch_norm  # noqa: E402
from retrieval.models.netvlad import NetVLAD  # noqa: E402
from tests.reference_ce import SlowCE, max_margin_by_definition  # noqa: E402

EXPERTS = (Expert("speech", 3, 2), Expert("face", 5), Expert("audio", 4, 3), Expert("scene", 6))
SMALL = CEConfig(EXPERTS, text_dim=7, text_clusters=2, text_ghosts=1, shared_dim=8)
N, N_TOKENS, N_WORDS = 5, 3, 2

VARIANTS = {
    "ce": SMALL,
    "ce without self": replace(SMALL, include_self=False),
    "ce with relu": replace(SMALL, use_mish=False),
    "ce without batch norm": replace(SMALL, use_bn_reason=False, n_h_layers=1),
    "ce of one layer": replace(SMALL, n_g_layers=1),
    "ce with h": replace(SMALL, n_g_layers=2, n_h_layers=2),
    "ce single token": replace(SMALL, text_clusters=0),
    "triplet": replace(SMALL, use_ce="triplet"),
    "triplet without self": replace(SMALL, use_ce="triplet", include_self=False),
    "star": replace(SMALL, use_ce="pairwise-star", n_h_layers=1),
    "star specific": replace(SMALL, use_ce="pairwise-star-specific"),
    "star specific relu": replace(SMALL, use_ce="pairwise-star-specific", use_mish=False),
    "star tensor": replace(SMALL, use_ce="pairwise-star-tensor"),
    "ce - cg": replace(SMALL, use_ce="", mimic_ce_dims=True),
    "moee": replace(SMALL, use_ce=""),
    "ce - mw,p,cg": replace(SMALL, use_ce="", freeze_weights=True),
    "keep missing": replace(SMALL, keep_missing_modalities=True),
    "captions averaged": replace(SMALL, test_caption_mode="avg"),
    "concat": replace(SMALL, use_ce="", concat_experts=True),
    "concat, wide text": replace(SMALL, use_ce="", concat_experts=True, text_clusters=6),
    "concat, official": replace(
        SMALL, use_ce="", concat_experts=True, text_clusters=6, official_concat=True
    ),
    "concat mix": replace(SMALL, use_ce="", concat_mix_experts=True),
}


def made(config: CEConfig, seed: int = 0) -> torch.nn.Module:
    """A float64 network whose batch norms are not the identity."""
    torch.manual_seed(seed)
    model = build(config).double()
    for value in model.state_dict().values():
        if value.ndim == 1:
            value.add_(torch.rand_like(value))
    return model


def batch(config: CEConfig, rng: np.random.Generator, n: int = N, n_captions: int = 1):
    """Experts with gaps, availability, tokens; expert 0 is there for every video."""
    experts, ind = {}, {}
    for i, expert in enumerate(config.experts):
        shape = (n, N_TOKENS, expert.dim) if expert.clusters else (n, expert.dim)
        x = rng.standard_normal(shape)
        present = np.ones(n) if i == 0 else (rng.random(n) < 0.6).astype(float)
        if i == 1:
            present[0] = 0
        x[present == 0] = np.nan
        experts[expert.name], ind[expert.name] = torch.tensor(x), torch.tensor(present)
    n_words = N_WORDS if config.text_clusters else 1
    text = torch.tensor(rng.standard_normal((n, n_captions, n_words, config.text_dim)))
    return {"experts": experts, "ind": ind, "text": text}


def arrays(tensors) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy().copy() for name, value in tensors.items()}


def slow_sims(model, given, training: bool) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    slow = SlowCE(model.config, arrays(model.state_dict()), training)
    out = slow.sims(arrays(given["experts"]), arrays(given["ind"]), given["text"].numpy())
    return out, slow.state


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_similarities_match_the_definition(rng, config, training):
    model = made(config).train(training)
    given = batch(config, rng)
    expected, _ = slow_sims(model, given, training)
    sims = model(**given)["cross_view_conf_matrix"]
    np.testing.assert_allclose(sims.detach().numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_running_statistics_match_one_call_after_the_other(rng, config):
    model = made(config).train()
    state = None
    for _ in range(2):
        given = batch(config, rng)
        slow = SlowCE(config, state or arrays(model.state_dict()), training=True)
        slow.sims(arrays(given["experts"]), arrays(given["ind"]), given["text"].numpy())
        state = slow.state
        model(**given)
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(value.numpy(), state[name], atol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", ["ce", "triplet without self", "star tensor", "moee", "ce with h"])
def test_gradients_are_those_of_the_definition(rng, name):
    """Central differences of the slow definition's loss, in a few entries of every parameter."""
    config = VARIANTS[name]
    model, given = made(config).train(), batch(config, rng)
    state = arrays(model.state_dict())
    max_margin_ranking(model(**given)["cross_view_conf_matrix"], 0.5).backward()

    def loss(changed: dict[str, np.ndarray]) -> float:
        slow = SlowCE(config, dict(changed), training=True)
        sims = slow.sims(arrays(given["experts"]), arrays(given["ind"]), given["text"].numpy())
        return max_margin_by_definition(sims, 0.5, fix_norm=True)

    for key, parameter in list(model.named_parameters()):
        place = int(rng.integers(parameter.numel()))
        moved = []
        for sign in (1, -1):
            changed = {**state, key: state[key].copy()}
            changed[key].flat[place] += sign * 1e-6
            moved.append(loss(changed))
        slope = (moved[0] - moved[1]) / 2e-6
        got = 0.0 if parameter.grad is None else float(parameter.grad.flatten()[place])
        assert got == pytest.approx(slope, abs=2e-7), key


@pytest.mark.parametrize("training", [True, False])
def test_a_bias_that_statistics_of_the_batch_cancel_does_not_move(rng, training):
    model, given = made(SMALL).train(training), batch(SMALL, rng)
    max_margin_ranking(model(**given)["cross_view_conf_matrix"], 0.5).backward()
    for units in (model.ce.text_GU, model.ce.video_GU):
        for unit in units:
            assert (unit.cg.fc.bias.grad == 0).all() == training
            assert unit.cg.fc.weight.grad.abs().max() > 0


def test_gradients_reach_all_inputs_of_the_gating():
    """torch.autograd.gradcheck through the grouped batch norm, in training."""
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm1d(3).double().train()
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    parameters = (norm.weight, norm.bias)
    assert torch.autograd.gradcheck(lambda x, *_: grouped_batch_norm(x, norm), (x, *parameters))


def test_groups_have_the_statistics_of_a_call_each():
    torch.manual_seed(1)
    together, apart = (torch.nn.BatchNorm1d(3).double().train() for _ in range(2))
    x = torch.randn(4, 5, 3, dtype=torch.float64) * 3 + 1
    out = grouped_batch_norm(x, together)
    one_by_one = torch.stack([apart(group) for group in x])
    torch.testing.assert_close(out, one_by_one)
    torch.testing.assert_close(dict(together.state_dict()), dict(apart.state_dict()))
    assert together.num_batches_tracked == 4


@pytest.mark.parametrize("use_ce", ["pairwise", "triplet", "pairwise-star"])
def test_the_gating_depends_on_the_order_of_experts_where_it_is_in_place(rng, use_ce):
    """An expert sees those before it gated: renaming a and d swaps their turns."""
    experts = tuple(Expert(name, 4) for name in "abcd")
    config = CEConfig(experts, 7, text_clusters=0, shared_dim=5, use_ce=use_ce)
    model = made(config).eval()
    given = batch(config, rng)
    for name in "abcd":
        given["experts"][name] = torch.tensor(rng.standard_normal((N, 4)))
        given["ind"][name] = torch.ones(N)
    swapped = made(config).eval()
    turn = {"0": "3", "3": "0"}
    state = {}
    for key, value in model.state_dict().items():
        parts = key.split(".")
        if parts[1] in ("video_dim_reduce", "video_GU"):
            parts[2] = turn.get(parts[2], parts[2])
        state[".".join(parts)] = value
    swapped.load_state_dict(state)
    names = dict(zip("abcd", "dbca", strict=True))
    experts = {names[name]: x for name, x in given["experts"].items()}
    one = model.embed_videos(given["experts"], given["ind"])
    other = swapped.embed_videos(experts, given["ind"])
    apart = (one["a"] - other["d"]).abs().max()
    if use_ce == "pairwise-star":
        assert apart < 1e-12
    else:
        assert apart > 1e-3


@pytest.mark.parametrize("n_captions", [1, 3])
def test_captions_are_kept_apart_or_averaged(rng, n_captions):
    model, given = made(SMALL).eval(), batch(SMALL, rng, n_captions=n_captions)
    apart = model(**given)["cross_view_conf_matrix"]
    assert apart.shape == (N * n_captions, N)
    model.config = replace(SMALL, test_caption_mode="avg")
    averaged = model(**given)["cross_view_conf_matrix"]
    torch.testing.assert_close(averaged, apart.view(N, n_captions, N).mean(dim=1))
    expected, _ = slow_sims(model, given, training=False)
    np.testing.assert_allclose(averaged.detach().numpy(), expected, atol=1e-9)
    model.train()  # several captions in training are averaged too
    expected, _ = slow_sims(model, given, training=True)
    np.testing.assert_allclose(
        model(**given)["cross_view_conf_matrix"].detach().numpy(), expected, atol=1e-9
    )


def test_texts_and_videos_may_differ_in_number(rng):
    model, given = made(SMALL).eval(), batch(SMALL, rng)
    given["text"] = torch.tensor(rng.standard_normal((3, 2, N_WORDS, 7)))
    out = model(**given)
    assert out["cross_view_conf_matrix"].shape == (6, N)
    assert out["text_embds"]["face"].shape == (3, 2, 8)
    assert out["vid_embds"]["face"].shape == (N, 8)
    assert out["modalities"] == ["audio", "face", "scene", "speech"]


def test_chunks_of_captions_give_the_rows_of_the_whole(rng):
    model, given = made(SMALL).eval(), batch(SMALL, rng)
    whole = model(**given)["cross_view_conf_matrix"]
    parts = [
        model(given["experts"], given["ind"], part)["cross_view_conf_matrix"]
        for part in given["text"].split(2)
    ]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-12)


def test_inputs_are_not_changed(rng):
    model, given = made(SMALL).train(), batch(SMALL, rng)
    before = {name: x.clone() for name, x in given["experts"].items()}
    keys = list(given["experts"])
    model(**given)["cross_view_conf_matrix"].sum().backward()
    assert list(given["experts"]) == keys
    for name, x in given["experts"].items():
        torch.testing.assert_close(x, before[name], equal_nan=True, rtol=0, atol=0)


def test_what_the_row_of_a_missing_expert_holds_makes_no_difference(rng):
    model, given = made(SMALL).train(), batch(SMALL, rng)
    one = model(**given)["cross_view_conf_matrix"]
    filled = given["experts"]["face"].clone()
    assert given["ind"]["face"][0] == 0
    filled[0, 1:] = 7.0  # the first number is looked at, then all are cleared
    given["experts"]["face"] = filled
    torch.testing.assert_close(model(**given)["cross_view_conf_matrix"], one)


def test_availability_of_any_precision_is_read(rng):
    model, given = made(SMALL).eval().float(), batch(SMALL, rng)
    as_float = {k: {n: x.float() for n, x in given[k].items()} for k in ("experts", "ind")}
    text = given["text"].float()
    one = model(as_float["experts"], as_float["ind"], text)["cross_view_conf_matrix"]
    other = model(as_float["experts"], given["ind"], text)["cross_view_conf_matrix"]
    assert one.dtype == torch.float32
    torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda g: g["experts"]["audio"][2].fill_(torch.nan), "audio of video 2 holds NaN but is"),
        (lambda g: g["experts"]["face"].fill_(1.0), "face of video 0 is marked as missing but"),
        (lambda g: [i.zero_() for i in g["ind"].values()], "marked as missing but holds numbers"),
        (lambda g: g["ind"]["face"].fill_(2.0), "availability must be 0 or 1"),
        (lambda g: g["experts"].pop("scene"), "no features of scene"),
        (lambda g: g["ind"].clear(), "no features of audio, face, scene, speech"),
        (lambda g: g["ind"].update(face=torch.ones(2)), "same videos, got audio 5 and 5, face 5 a"),
        (lambda g: g.pop("text"), "text is missing; the task retrieval"),
        (lambda g: g.update(text=g["text"][..., :3]), "other text features"),
        (lambda g: g["experts"].update(scene=torch.ones(N, 9)), "scene are .5, 9., expected"),
        (lambda g: g["experts"].update(audio=torch.ones(N, 4)), "expected .n, n_tokens, 4."),
    ],
)
def test_bad_batches_are_told_in_a_sentence(rng, spoil, message):
    model, given = made(SMALL).train(), batch(SMALL, rng)
    spoil(given)
    with pytest.raises(ValueError, match=message):
        model(**given)


def test_what_a_video_lacks_changes_its_own_column_alone(rng):
    """An early version weighed a caption by what its own video has, and so told which that is."""
    model, given = made(VARIANTS["moee"]).eval(), batch(SMALL, rng)
    assert given["ind"]["scene"][2] == 1
    one = model(**given)
    given["experts"]["scene"][2] = torch.nan
    given["ind"]["scene"][2] = 0
    other = model(**given)
    for name, emb in one["text_embds"].items():
        torch.testing.assert_close(other["text_embds"][name], emb, rtol=0, atol=0)
    before, after = (out["cross_view_conf_matrix"] for out in (one, other))
    changed = (before - after).abs().amax(dim=0) > 1e-9
    assert changed.tolist() == [video == 2 for video in range(N)]


def test_padding_takes_part_whatever_the_mask_says(rng):
    model, given = made(SMALL).eval(), batch(SMALL, rng)
    one = model(**given)["cross_view_conf_matrix"]
    masked = model(**given, text_token_mask=torch.ones(N, 1))["cross_view_conf_matrix"]
    torch.testing.assert_close(masked, one, rtol=0, atol=0)
    longer = torch.nn.functional.pad(given["text"], (0, 0, 0, 2))
    other = model(given["experts"], given["ind"], longer)["cross_view_conf_matrix"]
    assert (other - one).abs().max() > 1e-3


def test_keeping_missing_experts_leaves_weights_and_availability_out(rng):
    model, given = made(VARIANTS["keep missing"]).eval(), batch(SMALL, rng)
    out = model(**given)
    expected = sum(
        out["text_embds"][name][:, 0] @ out["vid_embds"][name].T for name in model.config.names
    )
    torch.testing.assert_close(out["cross_view_conf_matrix"], expected)


@pytest.mark.parametrize("name", ["concat", "concat mix"])
def test_concatenated_experts_are_given_as_they_went_in(rng, name):
    model, given = made(VARIANTS[name]).eval(), batch(SMALL, rng)
    out = model(**given)
    filled = torch.nan_to_num(given["experts"]["face"])
    torch.testing.assert_close(out["vid_embds"]["face"], filled, rtol=0, atol=0)
    assert list(out["text_embds"]) == ["audio"]


def test_a_video_without_any_expert_is_refused(rng):
    model, given = made(SMALL).eval(), batch(SMALL, rng)
    for name, x in given["experts"].items():
        x[3] = torch.nan
        given["ind"][name][3] = 0
    with pytest.raises(ValueError, match="video 3 has no expert at all"):
        model(**given)


@pytest.mark.parametrize("name", ["ce", "ce - cg", "moee", "concat"])
def test_a_training_batch_of_one_video_is_refused(rng, name):
    config = VARIANTS[name]
    model, given = made(config).train(), batch(config, rng, n=1)
    with pytest.raises(ValueError, match="a training batch of one has no batch statistics"):
        model(**given)
    model.eval()(**given)


def test_randomised_experts_are_noise_and_keep_their_gaps(rng):
    model, given = made(replace(SMALL, randomise=("face",))).eval(), batch(SMALL, rng)
    other = {**given["experts"], "face": given["experts"]["face"] * 5 + 1}
    outs = []
    for experts in (given["experts"], other):
        torch.manual_seed(3)
        outs.append(model.embed_videos(experts, given["ind"])["scene"])
    torch.testing.assert_close(outs[0], outs[1])
    assert (model.embed_videos(other, given["ind"])["scene"] - outs[0]).abs().max() > 1e-3


def test_randomised_text_tells_nothing(rng):
    model, given = made(replace(SMALL, randomise=("text",))).eval(), batch(SMALL, rng)
    emb, _ = model.embed_text(given["text"])
    assert all(e.min() >= 0 and e.max() <= 1 for e in emb.values())


def test_netvlad_of_tokens_by_hand():
    """One cluster: every token is assigned wholly, so residuals are summed."""
    pool = NetVLAD(2, 1).eval()
    with torch.no_grad():
        pool.clusters2.copy_(torch.tensor([[[1.0], [0.0]]]))
    tokens = torch.tensor([[[2.0, 0.0], [1.0, 4.0], [0.0, 0.0]]])  # the last one is padding
    torch.testing.assert_close(pool(tokens), torch.tensor([[0.0, 1.0]]))


def test_netvlad_of_an_absent_expert_is_not_zero():
    pool = NetVLAD(3, 2).eval()
    out = pool(torch.zeros(1, 4, 3))
    assert out.norm().item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_state_dict_loads_strictly_with_the_official_rules(name):
    config = VARIANTS[name]
    model = made(config, seed=1)
    weights = {f"module.{key}": value for key, value in model.state_dict().items()}
    for part in ("moe_fc_bottleneck1", "moe_cg", "moe_fc_proj"):
        weights[f"module.ce.{part}.weight"] = torch.ones(2, 2)
        weights[f"module.ce.{part}.bias"] = torch.ones(2)
    other = made(config, seed=2)
    load_weights(other, weights)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(other.state_dict()[key], value, rtol=0, atol=0)


def test_the_weights_of_another_architecture_are_told_apart():
    ce, moee = made(SMALL), made(VARIANTS["moee"])
    with pytest.raises(ModelError, match="lacks ce.video_dim_reduce.0.fc.weight.* and .* more"):
        load_weights(ce, moee.state_dict())
    wider = made(replace(SMALL, shared_dim=9))
    with pytest.raises(ModelError, match=r"ce.video_dim_reduce.0.fc.weight is \(9, 12\), expected"):
        load_weights(ce, wider.state_dict())
    with pytest.raises(ModelError, match="has besides extra"):
        load_weights(ce, {**ce.state_dict(), "extra": torch.ones(1)})


def test_weights_come_as_arrays_and_in_checkpoints_too():
    one, other = made(SMALL, seed=1), made(SMALL, seed=2)
    load_weights(other, {"epoch": 3, "state_dict": arrays(one.state_dict())})
    for key, value in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[key], value, rtol=0, atol=0)


def test_a_seed_gives_the_initial_weights_of_the_released_code():
    """Drawn part by part in its order: experts' clusters, the text's, weights, projections, g."""
    config = replace(SMALL, experts=(Expert("audio", 5, clusters=2), Expert("rgb", 6)))
    torch.manual_seed(3)
    model = build(config)
    torch.manual_seed(3)

    def vlad(dim: int, n_clusters: int, n_ghosts: int) -> list[torch.Tensor]:
        scale = 1 / math.sqrt(dim)
        return [
            scale * torch.randn(dim, n_clusters + n_ghosts),
            scale * torch.randn(1, dim, n_clusters),
        ]

    def linear(n_in: int, n_out: int) -> list[torch.Tensor]:
        made = torch.nn.Linear(n_in, n_out)
        return [made.weight.data, made.bias.data]

    pooled, shared = config.text_pooled_dim, config.shared_dim
    expected = vlad(5, 2, 0) + vlad(config.text_dim, config.text_clusters, config.text_ghosts)
    expected += linear(pooled, 2) + linear(10, shared) + linear(6, shared)
    expected += linear(2 * shared, shared)
    for _ in range(config.n_g_layers - 1):
        expected += linear(shared, shared)
    for _ in range(2):  # gates of the videos' side
        expected += linear(shared, shared)
    for _ in range(2):  # of the captions'
        expected += linear(pooled, shared) + linear(shared, shared)
    drawn = [value for name, value in model.named_parameters() if "batch_norm" not in name]
    drawn = [value for value in drawn if not ((value == 0).all() or (value == 1).all())]
    assert len(drawn) == len(expected)
    for ours, theirs in zip(drawn, expected, strict=True):
        torch.testing.assert_close(ours.data, theirs, rtol=0, atol=0)


def test_manual_initialisation_is_xavier_with_small_biases():
    torch.manual_seed(0)
    model = build(replace(SMALL, manual_linear_init=True))
    linear = model.ce.video_dim_reduce[0].fc
    assert (linear.bias == 0.01).all()
    bound = (6 / (linear.in_features + linear.out_features)) ** 0.5
    assert 0.8 * bound < linear.weight.abs().max() <= bound


def test_classification_and_video_embeddings_need_no_text(rng):
    config = replace(SMALL, task="classification", n_classes=5)
    model, given = made(config).eval(), batch(config, rng)
    del given["text"]
    out = model(**given)
    assert out["class_preds"].shape == (N, 5)
    assert "ce.moe_fc.weight" not in model.state_dict()
    model.config = replace(config, task="compute_video_embeddings")
    assert model(**given)["embeddings"]["face"].shape == (N, 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"experts": ()}, "between 1 and 10 experts"),
        ({"experts": EXPERTS[:1]}, "gating needs two experts or more, got speech alone"),
        ({"experts": EXPERTS[:1] * 2}, "named twice"),
        ({"use_ce": "pairs"}, "unknown use_ce 'pairs'; available: pairwise, triplet"),
        ({"mimic_ce_dims": True}, "exclude each other"),
        ({"n_g_layers": 0}, "num_g_layers must be 1 or more"),
        ({"task": "sing"}, "unknown task 'sing'"),
        ({"task": "classification"}, "needs num_classes"),
        ({"test_caption_mode": "max"}, "must be indep or avg"),
    ],
)
def test_settings_that_make_no_network_are_refused(changes, message):
    with pytest.raises(SettingsError, match=message):
        replace(SMALL, **changes)


def test_mnnet_is_a_plain_product(rng):
    model = build(MNNetConfig("s3dg.s3dg.0", dim=4, text_dim=4)).double()
    video = torch.tensor(rng.standard_normal((3, 4)))
    text = torch.tensor(rng.standard_normal((2, 5, 1, 4)))
    out = model({"s3dg.s3dg.0": video}, {"s3dg.s3dg.0": torch.ones(3)}, text)
    expected = [[t @ (v + 1e-5) for v in video] for t in text.reshape(10, 4)]
    np.testing.assert_allclose(
        out["cross_view_conf_matrix"].detach().numpy(), np.array(expected), rtol=1e-6
    )
    assert list(model.state_dict()) == ["dummy_param"]
    with pytest.raises(ValueError, match="missing for some videos"):
        model({"s3dg.s3dg.0": video}, {"s3dg.s3dg.0": torch.tensor([1, 0, 1])}, text)
    with pytest.raises(ValueError, match="expected s3dg.s3dg.0 of shape"):
        model({"s3dg.s3dg.0": video[:, :3]}, {"s3dg.s3dg.0": torch.ones(3)}, text)
    with pytest.raises(ValueError, match="HowTo100M text network"):
        model({"s3dg.s3dg.0": video}, {"s3dg.s3dg.0": torch.ones(3)}, text[:, :, 0])
