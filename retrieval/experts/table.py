"""The film library's experts and text features: names, sizes and places of their files.

The one table that writer, data set, recipes and models read. Names and places follow the rules of
the official feature trees, so that a loader for those finds these.
"""

from dataclasses import dataclass
from typing import Any

from retrieval.experts import hearing, layout, motion

WORD_DIM = 100  # of a word's vector: tokens of ocr, speech and the text feature "words"


@dataclass(frozen=True)
class ExpertFeature:
    """One kind of feature of a film."""

    name: str  # TYPE.MODEL.VARIANT, or ocr, speech, audio
    kind: str  # "fixed": one vector a film; "variable": tokens
    dim: int  # of the vector, or of a token
    max_tokens: int  # 1 where fixed
    flaky: bool  # films may lack it
    path: str  # of its file, from the root of the tree
    aggregation: dict[str, Any]  # its entry in an official config's feat_aggregation
    what: str  # it tells


@dataclass(frozen=True)
class TextFeature:
    """One kind of feature of a caption."""

    name: str
    dim: int  # of a token
    max_tokens: int  # nearly every caption has no more
    strength: str  # "weak", "middle" or "strong"
    what: str  # it is

    @property
    def path(self) -> str:
        """Of its file, from the root of the tree."""
        return f"aggregated_text_feats/{self.name}.pkl"


def _fixed(name: str, dim: int, pixels: int, what: str) -> ExpertFeature:
    kind, model, _ = name.split(".")
    how = {"fps": 12, "pixel_dim": pixels, "stride": 3, "temporal": "avg", "type": "embed"}
    folder = f"aggregated_{kind}_12fps_{pixels}px_stride3"
    how["feat_dims"] = {"embed": dim}
    return ExpertFeature(name, "fixed", dim, 1, False, f"{folder}/{model}-avg.pickle", how, what)


def _tokens(name: str, dim: int, most: int, path: str, what: str) -> ExpertFeature:
    how = {"temporal": "vlad", "type": "embed", "feat_dims": {"embed": dim}}
    return ExpertFeature(name, "variable", dim, most, True, path, how, what)


EXPERTS = {
    expert.name: expert
    for expert in (
        _tokens(
            "audio",
            hearing.DIM,
            5,
            "aggregated_audio_feats/mel-raw.pickle",
            "mean and deviation of 64 log-mel bands, a token every half second",
        ),
        _fixed("motion.flow.0", motion.DIM, 56, "speed and direction on a grid, by optical flow"),
        _tokens(
            "ocr",
            WORD_DIM,
            8,
            "aggregated_ocr_feats/ocr-w2v.pickle",
            "vectors of the words and numbers read from the frames",
        ),
        _fixed("rgb.clip.0", 256, 64, "mean frame embedding of animations-clip"),
        _fixed("scene.layout.0", layout.DIM, 56, "colours, layout and edges"),
        _tokens(
            "speech",
            WORD_DIM,
            8,
            "aggregated_speech/speech-w2v.pickle",
            "vectors of the words for the signals heard: bells, birds, beeps, music, ...",
        ),
    )
}

TEXTS = {
    text.name: text
    for text in (
        TextFeature("letters", 32, 30, "weak", "sums of random vectors of three letters in a row"),
        TextFeature(
            "words",
            WORD_DIM,
            30,
            "middle",
            "word vectors of the training captions, by PPMI and SVD",
        ),
        TextFeature("clip", 128, 32, "strong", "token states of animations-clip's text tower"),
    )
}
