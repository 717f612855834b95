"""Rows of the papers' tables -> how each is trained on the film library."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from retrieval.errors import SettingsError
from retrieval.models import CEConfig, Expert
from retrieval.training.expert_settings import ExpertSettings

ALL = ("audio", "motion.flow.0", "ocr", "rgb.clip.0", "scene.layout.0", "speech")
TOKENS = {"audio": 5, "ocr": 8, "speech": 8}  # that are taken of the experts of many tokens
TEXTS = ("letters", "words", "clip")  # text features, from weak to strong
TEACHER_SEED = 0  # of the run that teaches


@dataclass(frozen=True)
class ExpertRecipe:
    """One row: experts, text, variant of the network, and how it is trained."""

    experts: tuple[str, ...] = ALL
    text: str = "words"  # feature of the captions
    variant: Mapping[str, Any] = field(default_factory=dict)  # fields of CEConfig; CE where empty
    shared_dim: int = 128  # of the space of gated experts
    clusters: int = 2  # of NetVLAD, for experts of many tokens
    text_clusters: int = 8
    text_ghosts: int = 1
    n_words: int = 24  # tokens that are taken of a caption
    settings: ExpertSettings = field(default_factory=ExpertSettings)
    needs: tuple[str, ...] = ()  # experts that a clip must have to be trained or tested on
    train_clips: int = 0  # first so many of the training clips; 0 for all
    teachers: tuple[str, ...] = ()  # recipes
    denoise: int = 0  # a caption is left out where a teacher ranks its video below; 0 keeps all
    dataset: str = "Animations"
    val: str = "full-val"  # split that tells the best epoch
    test: str = "full-test"  # split that is tested once
    test_captions: int = 20  # asked of each test clip

    def model(self, dims: Mapping[str, int], text_dim: int) -> CEConfig:
        """What the network is built from.

        Args:
            dims: expert -> length of its vector or token.
            text_dim: length of a caption's token.
        """
        return CEConfig(
            experts=tuple(
                Expert(name, dims[name], self.clusters if name in TOKENS else 0)
                for name in self.experts
            ),
            text_dim=text_dim,
            text_clusters=self.text_clusters,
            text_ghosts=self.text_ghosts,
            shared_dim=self.shared_dim,
            **self.variant,
        )


NO_GATING = {"use_ce": "", "mimic_ce_dims": True}
MOEE = {"use_ce": ""}
UNIFORM = {"use_ce": "", "freeze_weights": True}
CONCAT = {"use_ce": "", "concat_experts": True}

CE = ExpertRecipe()
PLUS = replace(
    CE,
    text="clip",
    settings=replace(
        CE.settings, optimiser="RAdam", optimiser_args={"lr": 5e-3, "weight_decay": 1e-5}
    ),
)
TEACHERS = ("animations-ce-letters", "animations-ce", "animations-ce-clip")
# Rank among the training clips. Captions of the film library are vague rather than wrong: among
# 1,500 clips teachers find all but the last twentieth within 12, so this leaves out few of 7,000.
DENOISE = 30
SHORT = {name.split(".")[0]: name for name in ALL}
TITLES = {
    "scene": "Scene",
    "motion": "Motion",
    "rgb": "RGB",
    "audio": "Audio",
    "ocr": "OCR",
    "speech": "Speech",
}
CUMULATIVE = tuple(TITLES)


def _only(*names: str) -> ExpertRecipe:
    """Some experts; one alone has nothing to be gated with, and clips must have it."""
    experts = tuple(SHORT[name] for name in names)
    if len(experts) > 1:
        return replace(CE, experts=experts)
    needs = tuple(name for name in experts if name in TOKENS)
    return replace(CE, experts=experts, variant=NO_GATING, needs=needs)


EXPERT_RECIPES: dict[str, ExpertRecipe] = {
    "animations-ce": CE,
    "animations-ce-letters": replace(CE, text="letters"),
    "animations-ce-clip": replace(CE, text="clip"),
    "animations-ce-minus-cg": replace(CE, variant=NO_GATING),
    "animations-moee": replace(CE, variant=MOEE),
    "animations-ce-minus-mw-p-cg": replace(CE, variant=UNIFORM),
    "animations-concat": replace(CE, variant=CONCAT),
    **{f"animations-only-{name}": _only(name) for name in SHORT if name != "audio"},
    "animations-audio": _only("audio"),
    **{f"animations-scene-{name}": _only("scene", name) for name in CUMULATIVE[1:]},
    **{f"animations-first-{n}": _only(*CUMULATIVE[:n]) for n in (3, 4, 5)},
    **{f"animations-ce-{dim}": replace(CE, shared_dim=dim) for dim in (32, 64, 96, 192, 256)},
    **{
        f"animations-ce-captions-{n}": replace(CE, settings=replace(CE.settings, n_captions=n))
        for n in (1, 5, 10)
    },
    **{f"animations-ce-clips-{n}": replace(CE, train_clips=n) for n in (500, 1000, 2000)},
    "animations-ce-plus": PLUS,
    "animations-teachtext-ce": replace(CE, teachers=TEACHERS),
    "animations-teachtext-ce-plus": replace(PLUS, teachers=TEACHERS),
    "animations-ce-denoised": replace(CE, denoise=DENOISE),
    "animations-ce-plus-denoised": replace(PLUS, denoise=DENOISE),
    "animations-teachtext-ce-denoised": replace(CE, teachers=TEACHERS, denoise=DENOISE),
    "animations-teachtext-ce-plus-denoised": replace(PLUS, teachers=TEACHERS, denoise=DENOISE),
}

# Tables shaped as in the papers: title -> row -> recipe.
TABLES: dict[str, dict[str, str]] = {
    "Design of the network": {
        "Concat": "animations-concat",
        "CE - MW,P,CG": "animations-ce-minus-mw-p-cg",
        "CE - P,CG (MoEE)": "animations-moee",
        "CE - CG": "animations-ce-minus-cg",
        "CE": "animations-ce",
    },
    "Scene and one more expert": {
        "Scene": "animations-only-scene",
        **{f"Scene + {TITLES[name]}": f"animations-scene-{name}" for name in CUMULATIVE[1:]},
    },
    "One expert alone": {
        "RGB": "animations-only-rgb",
        "Motion": "animations-only-motion",
        "Scene": "animations-only-scene",
        "Audio, on clips that sound": "animations-audio",
        "OCR, on clips that show words": "animations-only-ocr",
        "Speech, on clips that signal": "animations-only-speech",
    },
    "Experts, one after the other": {
        "Scene": "animations-only-scene",
        "+ Motion": "animations-scene-motion",
        "+ RGB": "animations-first-3",
        "+ Audio": "animations-first-4",
        "+ OCR": "animations-first-5",
        "+ Speech (CE)": "animations-ce",
    },
    "Capacity": {
        f"d = {dim}": f"animations-ce-{dim}" if dim != CE.shared_dim else "animations-ce"
        for dim in (32, 64, 96, 128, 192, 256)
    },
    "Captions of a training clip": {
        **{str(n): f"animations-ce-captions-{n}" for n in (1, 5, 10)},
        "20": "animations-ce",
    },
    "Training clips": {
        **{f"{n:,}": f"animations-ce-clips-{n}" for n in (500, 1000, 2000)},
        "all": "animations-ce",
    },
    "Text features": {
        "letters": "animations-ce-letters",
        "words": "animations-ce",
        "clip": "animations-ce-clip",
    },
    "TeachText": {
        "CE": "animations-ce",
        "CE+": "animations-ce-plus",
        "TeachText - CE": "animations-teachtext-ce",
        "TeachText - CE+": "animations-teachtext-ce-plus",
        "CE, denoised": "animations-ce-denoised",
        "CE+, denoised": "animations-ce-plus-denoised",
        "TeachText - CE, denoised": "animations-teachtext-ce-denoised",
        "TeachText - CE+, denoised": "animations-teachtext-ce-plus-denoised",
    },
    "Text to audio, on clips that sound": {"AR-CE": "animations-audio"},
}


def get_expert_recipe(name: str, others: Iterable[str] = ()) -> ExpertRecipe:
    """Find a recipe by name.

    Args:
        name: of the recipe.
        others: names of recipes of another kind that would do as well.

    Raises:
        SettingsError: there is none of that name; the message lists what exists.
    """
    if name not in EXPERT_RECIPES:
        known = ", ".join([*others, *EXPERT_RECIPES, "or an official CONFIG.json"])
        raise SettingsError(f"unknown recipe {name!r}; available: {known}")
    return EXPERT_RECIPES[name]


def in_order() -> list[str]:
    """All recipes, those that teach before those that are taught."""
    names = list(EXPERT_RECIPES)
    return sorted(names, key=lambda name: (name not in TEACHERS, waits_for(name) != ()))


def waits_for(name: str) -> tuple[str, ...]:
    """Recipes whose finished run (of seed TEACHER_SEED) a recipe needs."""
    recipe = get_expert_recipe(name)
    return recipe.teachers or (TEACHERS if recipe.denoise else ())
