"""Official config sections -> networks: the published parameter counts, names and order of keys."""

import copy

import pytest

torch = pytest.importorskip("torch")

from retrieval.errors import SettingsError  # noqa: E402
from retrieval.models import CENet, build, from_official  # noqa: E402
from retrieval.models.config import TEXT_DIMS  # noqa: E402

SENET, RESNEXT = "imagenet.senet154.0", "imagenet.resnext101_32x48d.0"
I3D, R2P1D, SCENE = "i3d.i3d.0", "r2p1d.r2p1d-ig65m.0", "scene.densenet161.0"
KINETICS = "r2p1d.r2p1d-ig65m-kinetics.0"
VISUAL = [RESNEXT, SENET, SCENE, I3D, R2P1D]
ALL = [*VISUAL, "face", "ocr", "audio", "speech"]
NO_SOUND = [*VISUAL, "face", "ocr"]
REFINED = [RESNEXT, SENET, SCENE, R2P1D, KINETICS, "audio", "speech"]
REFINED_VISUAL = REFINED[:5]
FIXED_DIMS = {
    SENET: 2048,
    RESNEXT: 2048,
    SCENE: 2208,
    I3D: 1024,
    R2P1D: 512,
    KINETICS: 512,
    "antoine-rgb": 2048,
    "flow": 1024,
}


def official(
    experts: list[str],
    text: tuple[int, int],
    ocr: int = 0,
    audio: int = 0,
    speech: int = 0,
    text_feat: str = "openai",
    face_dim: int = 512,
    **args,
) -> dict:
    """The sections of a resolved official config that say how the network is built."""
    aggregation = {
        name: {"temporal": "avg", "type": "embed", "feat_dims": {"embed": dim}}
        for name, dim in FIXED_DIMS.items()
    }
    aggregation["face"] = {"temporal": "avg", "flaky": True}
    for name in ("ocr", "audio", "speech"):
        aggregation[name] = {"temporal": "vlad", "flaky": True}
    clusters, ghosts = text
    shared_dim = args.pop("ce_shared_dim", 768)
    return {
        "experts": {
            "modalities": experts,
            "drop_feats": "",
            "text_feat": text_feat,
            "text_agg": "vlad",
            "ce_shared_dim": shared_dim,
            "face_dim": face_dim,
        },
        "arch": {
            "type": "CENet",
            "args": {
                "use_ce": "pairwise",
                "l2renorm": False,
                "keep_missing_modalities": False,
                "use_mish": 1,
                "use_bn_reason": 1,
                "num_g_layers": 3,
                "num_h_layers": 0,
                "include_self": 1,
                "randomise_feats": "",
                "test_caption_mode": "indep",
                "vlad_clusters": {"text": clusters, "ocr": ocr, "audio": audio, "speech": speech},
                "ghost_clusters": {"text": ghosts, "ocr": 1, "audio": 1, "speech": 1},
                **args,
            },
        },
        "data_loader": {
            "args": {"feat_aggregation": aggregation, "max_tokens": {"text": 30, "ocr": 30}}
        },
    }


MOEE = {"use_ce": ""}
UNIFORM = {"use_ce": "", "freeze_weights": True}
ONLY_DIMS = {"use_ce": "", "mimic_ce_dims": True}
CONCAT = {"use_ce": "", "concat_experts": True}
PLUS = {"text_feat": "gpt2-xl-finetune"}

MSRVTT = {"text": (28, 1), "ocr": 43, "audio": 8, "speech": 19}
MSRVTT_MOEE = {"text": (50, 2), "ocr": 20, "audio": 27, "speech": 45, "num_g_layers": 1}
MSVD = {"text": (12, 0), "ocr": 75}
DIDEMO = {"text": (8, 0), "ocr": 13, "audio": 16, "speech": 55}
ACTIVITY = {"text": (39, 0), "ocr": 44, "audio": 6, "speech": 100}
LSMDC = {"text": (43, 0), "ocr": 30, "audio": 3, "speech": 5, "text_feat": "w2v", "face_dim": 128}
QUERYD = {"text": (20, 1), "audio": 16, "text_feat": "w2v"}
QUERYD_EXPERTS = [RESNEXT, R2P1D, SCENE, "audio"]
MIECH = {**MSRVTT, "text_feat": "w2v", "face_dim": 128}
MIECH_EXPERTS = ["antoine-rgb", "flow", "audio", "face"]


def wide(settings: dict) -> dict:
    """The same with the 39 text clusters of the runs with concatenated experts."""
    return {**settings, **CONCAT, "text": (39, settings["text"][1])}


# The published number of trainable parameters of every config, and what it is made of.
COUNTS = {
    "msrvtt full-ce": (183_448_607, ALL, MSRVTT),
    "msrvtt full-moee": (400_410_129, ALL, {**MSRVTT_MOEE, **MOEE, "num_h_layers": 1}),
    "msrvtt moee-minus-moee-weights": (246_219_775, ALL, {**MSRVTT, **UNIFORM}),
    "msrvtt ce-ablation-dims": (181_070_111, ALL, {**MSRVTT, **ONLY_DIMS}),
    "msrvtt concat": (369_717, ALL, wide(MSRVTT)),
    "msrvtt only-scene": (19_461_947, [SCENE], {**MSRVTT, "use_ce": "", "mimic_ce_dims": 1}),
    "msrvtt only-scene-ocr": (49_485_146, [SCENE, "ocr"], MSRVTT),
    "msrvtt ce-384": (88_618_655, ALL, {**MSRVTT, "ce_shared_dim": 384}),
    "msrvtt ce-512": (119_507_743, ALL, {**MSRVTT, "ce_shared_dim": 512}),
    "msrvtt ce-640": (151_117_727, ALL, {**MSRVTT, "ce_shared_dim": 640}),
    "msrvtt ce-892": (215_456_603, ALL, {**MSRVTT, "ce_shared_dim": 892}),
    "msrvtt ce-1024": (250_273_055, ALL, {**MSRVTT, "ce_shared_dim": 1024}),
    "msrvtt miech-ce": (92_434_235, ALL, MIECH),
    "msrvtt miech-miechfeats-moee": (43_976_282, MIECH_EXPERTS, {**MIECH, **MOEE}),
    "msvd full-ce": (84_043_645, NO_SOUND, MSVD),
    "msvd full-moee": (131_374_381, NO_SOUND, {**MSVD, **MOEE}),
    "msvd ce-ablation-dims": (81_668_221, NO_SOUND, {**MSVD, **ONLY_DIMS}),
    "msvd concat": (314_803, NO_SOUND, wide(MSVD)),
    "didemo full-ce": (79_285_025, ALL, DIDEMO),
    "didemo full-moee": (107_257_953, ALL, {**DIDEMO, **MOEE}),
    "didemo ce-ablation-dims": (76_906_529, ALL, {**DIDEMO, **ONLY_DIMS}),
    "didemo concat": (374_623, ALL, wide(DIDEMO)),
    "activity-net full-ce": (260_678_403, ALL, ACTIVITY),
    "activity-net full-moee": (330_415_875, ALL, {**ACTIVITY, **MOEE}),
    "activity-net concat": (417_795, ALL, wide(ACTIVITY)),
    "lsmdc full-ce": (116_857_599, ALL, LSMDC),
    "lsmdc full-moee": (159_776_655, ALL, {**LSMDC, **MOEE}),
    "lsmdc concat": (150_631, ALL, wide(LSMDC)),
    "queryd full-ce": (30_821_146, QUERYD_EXPERTS, QUERYD),
    "queryd full-moee": (57_745_690, QUERYD_EXPERTS, {**QUERYD, **MOEE}),
    "queryd only-scene": (7_507_879, [SCENE], {**QUERYD, **ONLY_DIMS}),
    "msrvtt ce+": (262_731_071, REFINED, {**MSRVTT, **PLUS}),
    "msvd ce+": (87_791_645, REFINED_VISUAL, {**MSVD, **PLUS}),
    "didemo ce+": (99_513_997, REFINED, {**DIDEMO, **PLUS}),
    "lsmdc ce+": (388_242_661, REFINED, {**LSMDC, **PLUS}),
    "activity-net ce+": (376_019_529, REFINED, {**ACTIVITY, **PLUS}),
    "msrvtt refined ce": (137_281_279, REFINED, MSRVTT),
    "msvd refined ce": (49_383_197, REFINED_VISUAL, MSVD),
    "didemo refined ce": (63_671_437, REFINED, DIDEMO),
    "activity-net refined ce": (201_287_049, REFINED, ACTIVITY),
    "lsmdc refined ce": (87_221_161, REFINED, LSMDC),
}


def on_meta(config: dict) -> torch.nn.Module:
    """The network without memory for its parameters."""
    with torch.device("meta"):
        return build(from_official(config))


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_as_many_as_published(name):
    expected, experts, settings = COUNTS[name]
    model = on_meta(official(experts, **settings))
    assert sum(p.numel() for p in model.parameters()) == expected


def test_the_baseline_has_one_parameter():
    config = official(["s3dg.s3dg.0"], (0, 0), text_feat="howto100m_mil_nce")
    config["arch"]["type"] = "MNNet"
    config["data_loader"]["args"]["feat_aggregation"]["s3dg.s3dg.0"] = {
        "temporal": "avg",
        "type": "logits",
        "feat_dims": {"embed": 1024, "logits": 512},
    }
    model = on_meta(config)
    assert sum(p.numel() for p in model.parameters()) == 1
    assert (model.config.dim, model.config.text_dim) == (512, 512)


@pytest.mark.parametrize(
    ("name", "n_entries"),
    [
        ("msrvtt full-ce", 253),
        ("msrvtt full-moee", 192),
        ("msrvtt moee-minus-moee-weights", 192),
        ("msrvtt ce-ablation-dims", 192),
        ("msrvtt concat", 30),
        ("msrvtt only-scene", 27),
        ("msrvtt ce+", 200),
    ],
)
def test_state_dicts_have_the_official_entries(name, n_entries):
    _, experts, settings = COUNTS[name]
    assert len(on_meta(official(experts, **settings)).state_dict()) == n_entries


def test_the_state_dict_of_full_ce_has_the_official_shapes():
    state = on_meta(official(ALL, **MSRVTT)).state_dict()
    shapes = {
        "pooling.ocr.clusters": (300, 43),
        "pooling.audio.clusters2": (1, 128, 8),
        "pooling.speech.batch_norm.running_var": (19,),
        "text_pooling.clusters": (768, 29),
        "text_pooling.clusters2": (1, 768, 28),
        "ce.moe_fc.weight": (9, 21504),
        "ce.g_reason_1.weight": (768, 1536),
        "ce.g_reason_shared.0.weight": (768,),
        "ce.g_reason_shared.2.weight": (768, 768),
        "ce.g_reason_shared.3.running_mean": (768,),
        "ce.g_reason_shared.5.bias": (768,),
        "ce.video_GU.8.cg.batch_norm2.num_batches_tracked": (),
        "ce.text_GU.0.fc.weight": (768, 21504),
        "ce.text_GU.0.cg.fc.bias": (768,),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes
    widths = [state[f"ce.video_dim_reduce.{i}.fc.weight"].shape[1] for i in range(9)]
    assert widths == [1024, 512, 1024, 2048, 2048, 12900, 512, 2208, 5700]


def test_the_parts_of_a_state_dict_are_in_the_official_order():
    config = official(ALL, **MSRVTT)
    config["arch"]["args"]["num_h_layers"] = 1
    parts = [key.split(".") for key in on_meta(config).state_dict()]
    names = [f"{p[0]}.{p[1]}" if p[0] in ("pooling", "ce") else p[0] for p in parts]
    assert list(dict.fromkeys(names)) == [
        "pooling.ocr",
        "pooling.audio",
        "pooling.speech",
        "text_pooling",
        "ce.moe_fc",
        "ce.video_dim_reduce",
        "ce.g_reason_1",
        "ce.g_reason_shared",
        "ce.h_reason",
        "ce.video_GU",
        "ce.text_GU",
    ]
    h = [p[2:] for p in parts if p[1] == "h_reason"]
    assert {place for place, _ in h} == {"0", "2"}


def test_dropped_experts_and_order():
    config = official(ALL, **MSRVTT)
    config["experts"]["drop_feats"] = "face,ocr"
    names = from_official(config).names
    assert names == ["audio", I3D, RESNEXT, SENET, R2P1D, SCENE, "speech"]


def test_several_aggregations_widen_an_expert():
    config = official(ALL, **MSRVTT)
    config["data_loader"]["args"]["feat_aggregation"][SENET]["temporal"] = "avg-max"
    experts = {expert.name: expert for expert in from_official(config).experts}
    assert experts[SENET].dim == 4096
    assert (experts["ocr"].dim, experts["ocr"].pooled_dim) == (300, 12900)


def test_expert_tables_of_the_challenge_and_of_detections():
    config = official(["ocr", "detection", "detection-sem", "openpose"], (20, 1), **MOEE)
    aggregation = config["data_loader"]["args"]["feat_aggregation"]
    aggregation["ocr"] = {"temporal": "avg", "type": "embed", "feat_dims": {"embed": 300}}
    for name in ("detection", "detection-sem", "openpose"):
        aggregation[name] = {"temporal": "avg"}
    config["arch"]["args"]["vlad_clusters"].update({"detection-sem": 2, "openpose": 3})
    sizes = {e.name: (e.dim, e.pooled_dim) for e in from_official(config).experts}
    assert sizes == {
        "detection": (1541, 1541),
        "detection-sem": (305, 610),
        "ocr": (300, 300),
        "openpose": (162, 162),
    }
    assert from_official(config).out_dims == [1541, 305, 300, 54]


def test_tokens_of_the_other_audio_expert_are_pooled():
    """The released network has no pooling for it, though its loader gives tokens."""
    config = official([SENET, "audio"], **MSRVTT)
    config["experts"]["modalities"] = [SENET, "audio.vggish.0"]
    aggregation = config["data_loader"]["args"]["feat_aggregation"]
    aggregation["audio.vggish.0"] = aggregation.pop("audio")
    state = on_meta(config).state_dict()
    assert state["pooling.audio_vggish_0.clusters"].shape == (128, 8)
    assert state["ce.video_dim_reduce.0.fc.weight"].shape == (768, 1024)


def change(path: str, value) -> callable:
    def apply(config: dict) -> None:
        *parents, last = path.split("/")
        for key in parents:
            config = config[key]
        if value is None:
            del config[last]
        else:
            config[last] = value

    return apply


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change("arch/type", "Transformer"), "unknown arch.type 'Transformer'; available: CENet"),
        (change("arch/args/colour", 1), "unknown keys in arch.args: colour"),
        (change("arch/args/l2renorm", True), "arch.args.l2renorm is not supported"),
        (change("arch/args/mimic_ce_dims", True), "exclude each other"),
        (change("arch/args/ghost_clusters", {}), "ghost_clusters.text"),
        (change("arch/args/vlad_clusters/ocr", 0), "vlad_clusters.ocr is missing"),
        (change("arch/args/vlad_clusters/text", 0), "max_tokens.text must be 1, got 30"),
        (change("experts/text_agg", "avg"), "max_tokens.text must be 1, got 30"),
        (
            change("experts/text_feat", "elmo"),
            "unknown text_feat 'elmo'; give its experts.text_dim too",
        ),
        (change("experts/modalities", ["smell"]), "says nothing of smell"),
        (change("experts", None), "no section experts"),
        (change("data_loader/args/feat_aggregation", None), "no section data_loader.args.feat"),
        (
            change(f"data_loader/args/feat_aggregation/{SENET}/temporal", "fixed_seg"),
            "'fixed_seg' of imagenet.senet154.0 cannot be read",
        ),
        (
            change(f"data_loader/args/feat_aggregation/{SENET}/feat_dims", {}),
            "needs a type and its length",
        ),
    ],
)
def test_configs_that_cannot_be_built_are_refused_in_a_sentence(spoil, message):
    config = copy.deepcopy(official(ALL, **MSRVTT))
    spoil(config)
    with pytest.raises(SettingsError, match=message):
        from_official(config)


def test_a_network_is_built_of_a_resolved_config_or_says_how_to_resolve_it():
    with torch.device("meta"):
        assert isinstance(build(official(ALL, **MSRVTT)), CENet)
    with pytest.raises(SettingsError, match="got str; read the file with load_config"):
        from_official("configs/msrvtt/train-full-ce.json")
    bare = {"inherit_from": "configs/base_config.json", "experts": {"text_feat": "w2v"}}
    with pytest.raises(SettingsError, match="inherits from configs/base_config.json, which is not"):
        build(bare)


def test_official_configs_keep_the_official_zeros_of_concatenation():
    assert from_official(official(ALL, **wide(MSRVTT))).official_concat


def test_text_dims_are_those_of_the_reference():
    assert TEXT_DIMS["gpt2-xl-finetune"] == 1600 and len(TEXT_DIMS) == 29
