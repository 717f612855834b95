"""Sections of an official config, resolved -> what a network is built from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retrieval.errors import SettingsError

# Length of a token of each text feature.
TEXT_DIMS = {
    "w2v": 300,
    "grovle": 300,
    "mt_grovle": 300,
    "hglmm_300d": 300,
    "hglmm_6kd": 6000,
    "howto100m_mil_nce": 512,
    "openai": 768,
    "openai-gpt": 768,
    "gpt2": 768,
    "gpt2-medium": 1024,
    "gpt2-large": 1280,
    "gpt2-xl": 1600,
    "gpt2-xl-finetune": 1600,
    "bert-base-uncased": 768,
    "electra": 256,
    "t5-small": 512,
    "t5-base": 768,
    "t5-large": 1024,
    "t5-3b": 1024,
    "t5-11b": 1024,
    "ctrl": 1280,
    "albert-base-v2": 768,
    "albert-large-v2": 1024,
    "albert-xlarge-v2": 2048,
    "roberta-base": 768,
    "roberta-large": 1024,
    "xlnet-base-cased": 768,
    "xlnet-large-cased": 1024,
    "transfo-xl-wt103": 1024,
}
# Length of a token of the experts that NetVLAD can pool, and where their clusters are named.
TOKEN_DIMS = {"ocr": 300, "audio": 128, "audio.vggish.0": 128, "speech": 300}
USE_CE = (
    "pairwise",
    "triplet",
    "pairwise-star",
    "pairwise-star-specific",
    "pairwise-star-tensor",
)
TASKS = (
    "retrieval",
    "retrieval-as-classification",
    "classification",
    "compute_video_embeddings",
)
# What `arch.args` may hold; the second group changes box features, which no released model has.
KNOWN_ARGS = {
    "use_ce",
    "keep_missing_modalities",
    "use_mish",
    "use_bn_reason",
    "num_g_layers",
    "num_h_layers",
    "include_self",
    "l2renorm",
    "randomise_feats",
    "vlad_clusters",
    "ghost_clusters",
    "mimic_ce_dims",
    "freeze_weights",
    "concat_experts",
    "concat_mix_experts",
    "test_caption_mode",
    "verbose",
    "num_classes",
}
REFUSED_ARGS = {"l2renorm", "kron_dets", "geometric_mlp", "rand_proj", "coord_dets"}


@dataclass(frozen=True)
class Expert:
    """One kind of feature."""

    name: str
    dim: int  # length of a stored vector, or of one token
    clusters: int = 0  # of NetVLAD; 0 for one vector a video
    native_dim: int = 0  # of its embedding where none is shared; 0 is `dim`

    @property
    def pooled_dim(self) -> int:
        """Length of what enters the network after pooling."""
        return self.dim * self.clusters if self.clusters else self.dim


@dataclass(frozen=True)
class CEConfig:
    """How a network of the Collaborative Experts family is built."""

    experts: tuple[Expert, ...]  # sorted by name when made: their order changes results
    text_dim: int  # length of a caption's token
    text_clusters: int = 28  # of NetVLAD; 0 where a caption is one token
    text_ghosts: int = 0  # ghost clusters
    shared_dim: int = 768  # of the space that gated experts share
    use_ce: str = "pairwise"  # one of USE_CE, or "" for no collaborative gating
    mimic_ce_dims: bool = False  # the shared space without the gating
    include_self: bool = True  # an expert is among its own partners
    use_mish: bool = True  # Mish, else ReLU
    use_bn_reason: bool = True  # batch norms in g and h
    n_g_layers: int = 3  # of g, the first one included
    n_h_layers: int = 0  # of h
    freeze_weights: bool = False  # all experts weigh the same
    concat_experts: bool = False  # inner product of concatenated vectors, nothing learned
    concat_mix_experts: bool = False  # one gated unit over the concatenation
    keep_missing_modalities: bool = False  # plain sum over experts, missing ones too
    test_caption_mode: str = "indep"  # captions of a video apart, or "avg" for their mean
    randomise: tuple[str, ...] = ()  # experts (or "text") replaced by noise
    task: str = "retrieval"  # one of TASKS
    n_classes: int | None = None  # of the task "classification"
    manual_linear_init: bool = False  # Xavier-uniform weights, biases 0.01
    official_concat: bool = False  # zeros where the text is wider, as the released code gives

    @classmethod
    def from_plain(cls, stored: Mapping[str, Any]) -> "CEConfig":
        """A config from what `dataclasses.asdict` made of it, whose tuples may be lists by now."""
        experts = tuple(Expert(**each) for each in stored["experts"])
        return cls(**{**stored, "experts": experts, "randomise": tuple(stored["randomise"])})

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.experts, key=lambda expert: expert.name))
        object.__setattr__(self, "experts", ordered)
        n = len(self.experts)
        if not 1 <= n <= 10:
            raise SettingsError(f"between 1 and 10 experts are accepted, got {n}")
        if len(set(self.names)) < n:
            raise SettingsError(f"an expert is named twice: {', '.join(self.names)}")
        if self.use_ce and self.use_ce not in USE_CE:
            known = ", ".join(USE_CE)
            raise SettingsError(f'unknown use_ce {self.use_ce!r}; available: {known}, or ""')
        if self.use_ce and self.mimic_ce_dims:
            raise SettingsError("use_ce and mimic_ce_dims exclude each other; set one of them")
        if self.use_ce and n < 2:
            raise SettingsError(
                f"gating needs two experts or more, got {self.names[0]} alone; "
                'set use_ce to "" and mimic_ce_dims to true'
            )
        if self.n_g_layers < 1 or self.n_h_layers < 0:
            raise SettingsError(
                f"num_g_layers must be 1 or more and num_h_layers 0 or more, got "
                f"{self.n_g_layers} and {self.n_h_layers}"
            )
        if self.task not in TASKS:
            raise SettingsError(f"unknown task {self.task!r}; available: {', '.join(TASKS)}")
        if self.task == "classification" and not self.n_classes:
            raise SettingsError("the task classification needs num_classes")
        if self.test_caption_mode not in ("indep", "avg"):
            raise SettingsError(
                f"test_caption_mode must be indep or avg, got {self.test_caption_mode!r}"
            )

    @property
    def names(self) -> list[str]:
        """The experts' names, in order."""
        return [expert.name for expert in self.experts]

    @property
    def takes_text(self) -> bool:
        """Whether captions are embedded at all."""
        return "retrieval" in self.task

    @property
    def in_shared_space(self) -> bool:
        """Whether every expert is projected to `shared_dim`."""
        return bool(self.use_ce or self.mimic_ce_dims)

    @property
    def out_dims(self) -> list[int]:
        """Length of each expert's embedding."""
        if self.in_shared_space:
            return [self.shared_dim] * len(self.experts)
        return [expert.native_dim or expert.dim for expert in self.experts]

    @property
    def text_pooled_dim(self) -> int:
        """Length of a pooled caption."""
        return self.text_dim * max(1, self.text_clusters)


@dataclass(frozen=True)
class MNNetConfig:
    """How the baseline on frozen HowTo100M features is built: nothing but the sizes."""

    expert: str  # the only one
    dim: int  # of its vectors
    text_dim: int = 512  # of a caption's vector


def from_official(config: Mapping[str, Any]) -> CEConfig | MNNetConfig:
    """Read the sections `experts`, `arch` and `data_loader` of an official config.

    Args:
        config: resolved, all that it inherits merged in.

    Raises:
        SettingsError: a key is missing or unknown, or values exclude each other.
    """
    if not isinstance(config, Mapping):
        raise SettingsError(
            f"expected the sections of a config, got {type(config).__name__}; read the file with "
            "load_config"
        )
    if "arch" not in config and "inherit_from" in config:
        raise SettingsError(
            f"the config inherits from {config['inherit_from']}, which is not merged in; read the "
            "file with load_config"
        )
    arch = _section(config, "arch")
    if arch.get("type") == "MNNet":
        experts = resolve_experts(config)
        if len(experts) != 1:
            raise SettingsError(f"MNNet takes one expert, got {len(experts)}; drop the others")
        return MNNetConfig(experts[0].name, experts[0].pooled_dim, text_dim(config))
    if arch.get("type") != "CENet":
        raise SettingsError(f"unknown arch.type {arch.get('type')!r}; available: CENet, MNNet")
    args = _section(config, "arch", "args")
    refused = sorted(key for key in REFUSED_ARGS if args.get(key))
    if refused:
        raise SettingsError(f"arch.args.{refused[0]} is not supported; set it to false")
    unknown = sorted(set(args) - KNOWN_ARGS - REFUSED_ARGS)
    if unknown:
        raise SettingsError(f"unknown keys in arch.args: {', '.join(unknown)}; remove them")
    clusters = _section(config, "arch", "args", "vlad_clusters")
    ghosts = args.get("ghost_clusters", {})
    try:
        text_clusters, text_ghosts = clusters["text"], ghosts["text"] if clusters["text"] else 0
    except KeyError as error:
        raise SettingsError(
            "arch.args needs vlad_clusters.text and ghost_clusters.text; give both, 0 for none"
        ) from error
    n_words = _section(config, "data_loader", "args").get("max_tokens", {}).get("text")
    experts = _section(config, "experts")
    averaged = experts.get("text_agg", "vlad") == "avg"
    if (averaged or text_clusters == 0) and n_words != 1:
        raise SettingsError(
            "without pooling of the text a caption is one token: "
            f"data_loader.args.max_tokens.text must be 1, got {n_words}"
        )
    return CEConfig(
        experts=resolve_experts(config),
        text_dim=text_dim(config),
        text_clusters=text_clusters,
        text_ghosts=text_ghosts,
        shared_dim=experts.get("ce_shared_dim", 768),
        use_ce=args.get("use_ce") or "",
        mimic_ce_dims=bool(args.get("mimic_ce_dims", False)),
        include_self=bool(args.get("include_self", True)),
        use_mish=bool(args.get("use_mish", True)),
        use_bn_reason=bool(args.get("use_bn_reason", True)),
        n_g_layers=int(args.get("num_g_layers", 3)),
        n_h_layers=int(args.get("num_h_layers", 0)),
        freeze_weights=bool(args.get("freeze_weights", False)),
        concat_experts=bool(args.get("concat_experts", False)),
        concat_mix_experts=bool(args.get("concat_mix_experts", False)),
        keep_missing_modalities=bool(args.get("keep_missing_modalities", False)),
        test_caption_mode=args.get("test_caption_mode", "indep"),
        randomise=tuple(filter(None, (args.get("randomise_feats") or "").split(","))),
        task=config.get("task", "retrieval"),
        n_classes=args.get("num_classes"),
        manual_linear_init=bool(config.get("manual_linear_init", False)),
        official_concat=True,
    )


def resolve_experts(config: Mapping[str, Any]) -> tuple[Expert, ...]:
    """Experts with their sizes, sorted by name, those of `experts.drop_feats` left out."""
    experts, args = _section(config, "experts"), _section(config, "data_loader", "args")
    clusters = _section(config, "arch").get("args", {}).get("vlad_clusters", {})
    dropped = (experts.get("drop_feats") or "").split(",")
    aggregation = _section(config, "data_loader", "args", "feat_aggregation")
    found = []
    for name in sorted(set(experts.get("modalities", [])) - set(dropped)):
        if name not in aggregation:
            raise SettingsError(f"data_loader.args.feat_aggregation says nothing of {name}; add it")
        how = aggregation[name]
        if not isinstance(how, Mapping) or not isinstance(how.get("temporal"), str):
            raise SettingsError(
                f"feat_aggregation of {name} does not say how it is aggregated over time; give it "
                'a section with "temporal"'
            )
        temporal = how["temporal"]
        if name == "face":
            if "face_dim" not in experts:
                raise SettingsError("experts.face_dim is missing; give the length of face features")
            found.append(Expert(name, experts["face_dim"]))
        elif name in TOKEN_DIMS and temporal == "vlad":
            short = name.split(".")[0]
            found.append(Expert(name, TOKEN_DIMS[name], _clusters(clusters, short)))
        elif name == "detection-sem":
            dim = 300 + (16 if args.get("spatial_feats") else 5)
            found.append(Expert(name, dim, _clusters(clusters, name)))
        elif name in ("detection", "openpose"):
            dim = 1541 if name == "detection" else 54
            found.append(Expert(name, dim * clusters.get(name, 1), native_dim=dim))
        else:
            found.append(Expert(name, _fixed_dim(name, how)))
    return tuple(found)


def text_dim(config: Mapping[str, Any]) -> int:
    """Length of a caption's token; that of a feature of one's own is `experts.text_dim`."""
    experts = _section(config, "experts")
    name = experts.get("text_feat", "openai")
    if name in TEXT_DIMS:  # then the released code takes no notice of text_dim, which some have
        return TEXT_DIMS[name]
    dim = experts.get("text_dim")
    if type(dim) is not int or dim < 1:
        raise SettingsError(
            f"unknown text_feat {name!r}; give its experts.text_dim too, or take one of "
            f"{', '.join(TEXT_DIMS)}"
        )
    return dim


def _fixed_dim(name: str, how: Mapping[str, Any]) -> int:
    aggregations = how.get("temporal", "").split("-")
    unknown = [a for a in aggregations if a not in ("avg", "max", "ent", "std")]
    if unknown:
        raise SettingsError(
            f"temporal aggregation {how.get('temporal')!r} of {name} cannot be read; "
            "combine avg, max, ent and std with dashes"
        )
    try:
        return how["feat_dims"][how["type"]] * len(aggregations)
    except KeyError as error:
        raise SettingsError(
            f"feat_aggregation of {name} needs a type and its length under feat_dims"
        ) from error


def _clusters(clusters: Mapping[str, int], name: str) -> int:
    if not clusters.get(name):
        raise SettingsError(f"arch.args.vlad_clusters.{name} is missing; {name} is pooled by it")
    return clusters[name]


def _section(config: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for i, key in enumerate(path):
        if not isinstance(config.get(key), Mapping):
            raise SettingsError(f"the config has no section {'.'.join(path[: i + 1])}; add it")
        config = config[key]
    return config
