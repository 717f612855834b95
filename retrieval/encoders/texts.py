"""Names of text features -> what makes them of captions, stored and typed alike.

A spec is NAME=SOURCE, like "gpt2-xl=/path/to/folder", NAME alone where the source is known or can
be fetched, or a folder that an encoder was saved to. NAME is that of the text feature, as configs
give it in `experts.text_feat`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.encoders.tokens import SETTINGS, ClipTokens, LetterVectors, TokenEncoder, load_tokens
from retrieval.errors import ModelError
from retrieval.models.config import TEXT_DIMS

OPEN_CLIP_CONFIG = "open_clip_config.json"
_GOOGLE = "GoogleNews-vectors-negative300.bin"


@dataclass(frozen=True)
class TextEncoder:
    """What is known of a text feature's encoder."""

    kind: str  # "transformer", "words", "sentence", "clip" or "letters"
    hub: str = ""  # repository that is fetched where no source is given
    give: str = "FOLDER"  # what the source is, for messages
    model_type: str | None = None  # of a transformer's config
    special: bool | None = None  # special tokens; None as the model's family has them
    spaces: bool = False  # words by the older rule
    without: str = ""  # characters; words with one of them are left out
    feature: str = ""  # its name in configs, where that is another


def _transformer(model_type: str, hub: str = "", special: bool | None = None) -> TextEncoder:
    return TextEncoder("transformer", hub, "FOLDER", model_type, special)


def _words(give: str, **more: Any) -> TextEncoder:
    return TextEncoder("words", "", give, **more)


TEXT_ENCODERS = {
    "w2v": _words(_GOOGLE),
    "w2v-spaces": _words(_GOOGLE, spaces=True, feature="w2v"),  # the first releases' rule
    **{
        name: _words(f"{name}.zip", without='"?)(')  # as the released code reads these
        for name in ("grovle", "mt_grovle", "hglmm_300d", "hglmm_6kd")
    },
    "howto100m_mil_nce": TextEncoder("sentence"),
    "openai": _transformer("openai-gpt", "openai-community/openai-gpt", special=False),
    "openai-gpt": _transformer("openai-gpt", "openai-community/openai-gpt"),
    **{
        name: _transformer("gpt2", f"openai-community/{name}")
        for name in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")
    },
    "gpt2-xl-finetune": _transformer("gpt2"),  # its weights were never released
    "bert-base-uncased": _transformer("bert", "google-bert/bert-base-uncased"),
    "electra": _transformer("electra", "google/electra-small-discriminator"),
    **{
        f"t5-{size}": _transformer("t5", f"google-t5/t5-{size}")
        for size in ("small", "base", "large", "3b", "11b")
    },
    "ctrl": _transformer("ctrl", "Salesforce/ctrl"),
    **{
        f"albert-{size}-v2": _transformer("albert", f"albert/albert-{size}-v2")
        for size in ("base", "large", "xlarge")
    },
    **{
        f"roberta-{size}": _transformer("roberta", f"FacebookAI/roberta-{size}")
        for size in ("base", "large")
    },
    **{
        f"xlnet-{size}-cased": _transformer("xlnet", f"xlnet/xlnet-{size}-cased")
        for size in ("base", "large")
    },
    "clip": TextEncoder("clip", "animations-clip", "an open_clip model"),
    "letters": TextEncoder("letters", "-"),
}
GONE = {"transfo-xl-wt103": "transformers dropped Transformer-XL in its version 5"}


def get_tokens(spec: str | Path, device: str | None = None) -> TokenEncoder:
    """Load what makes a text feature of captions.

    Args:
        spec: see the head of this module; a `Path` is the folder of a saved one. A NAME that is not
            in `TEXT_ENCODERS` may have any source, which then decides how it is asked.
        device: where networks compute, for example "cpu"; None takes the GPU if there is one.

    Raises:
        ModelError: unknown, not there, of another kind than its name says, or of another dimension.
    """
    name, separator, source = str(spec).partition("=")
    if not separator and ((Path(spec) / SETTINGS).is_file() or isinstance(spec, Path)):
        return load_tokens(spec)
    if name in GONE:
        raise ModelError(f"{name} cannot be made: {GONE[name]}; use features made with version 4")
    about = TEXT_ENCODERS.get(name) or _by_content(name, source)
    if not source and not about.hub:
        raise ModelError(f"{name} is not offered for download; give {name}={about.give}")
    loaded = _LOADERS[about.kind](name, source or about.hub, about, device)
    if about.feature:
        loaded.name = about.feature
    return loaded


def _by_content(name: str, source: str) -> TextEncoder:
    """How a source is asked whose name says nothing."""
    path = Path(source)
    if not source:
        raise ModelError(
            f"unknown text encoder {name[:40]!r}; give {name[:40]}=SOURCE, or a name that "
            "`python -m retrieval texts --list` shows"
        )
    if path.is_file():
        return _words("FILE")
    if (path / OPEN_CLIP_CONFIG).is_file():
        return TextEncoder("clip")
    if (path / SETTINGS).is_file():
        return TextEncoder("saved")
    return TextEncoder("transformer")


def _load_transformer(
    name: str, source: str, about: TextEncoder, device: str | None
) -> TokenEncoder:
    from retrieval.encoders.pretrained import TransformerTokens, find_folder

    return TransformerTokens(
        find_folder(name, source),
        name,
        spec=f"{name}={Path(source).absolute()}" if Path(source).is_dir() else f"{name}={source}",
        model_type=about.model_type,
        dim=TEXT_DIMS.get(name),
        special=about.special,
        device=device,
    )


def _load_words(name: str, source: str, about: TextEncoder, device: str | None) -> TokenEncoder:
    from retrieval.encoders.looked_up import load_looked_up

    name = about.feature or name
    return load_looked_up(source, name, TEXT_DIMS.get(name), about.spaces, about.without)


def _load_sentence(name: str, source: str, about: TextEncoder, device: str | None) -> TokenEncoder:
    from retrieval.encoders.mil_nce import SentenceVectors

    return SentenceVectors(source, name)


def _load_clip(name: str, source: str, about: TextEncoder, device: str | None) -> TokenEncoder:
    return ClipTokens(source, name, device)


def _load_letters(name: str, source: str, about: TextEncoder, device: str | None) -> TokenEncoder:
    return LetterVectors()


def _load_saved(name: str, source: str, about: TextEncoder, device: str | None) -> TokenEncoder:
    loaded = load_tokens(source)
    loaded.name = name
    return loaded


_LOADERS: dict[str, Callable[[str, str, TextEncoder, str | None], TokenEncoder]] = {
    "transformer": _load_transformer,
    "words": _load_words,
    "sentence": _load_sentence,
    "clip": _load_clip,
    "letters": _load_letters,
    "saved": _load_saved,
}
