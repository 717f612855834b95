"""A video's score under one query -> why it is what it is."""

from typing import TYPE_CHECKING

import numpy as np

from retrieval.answers import (
    ExpertShare,
    Explanation,
    NearCaption,
    Settings,
    expert_title,
)
from retrieval.engine.biases import Fitted, normaliser_of
from retrieval.normalisers import title_of
from retrieval.similarity import top_k
from retrieval.spaces import Space

if TYPE_CHECKING:
    from retrieval.engine.ranking import Engine

N_NEAREST = 3  # bank captions an explanation names


def explain(
    engine: "Engine", column: int, settings: Settings, text_emb: np.ndarray | None
) -> Explanation:
    """What a video's penalty is, and which bank captions it comes from.

    Args:
        engine: whose gallery and bank.
        column: the video.
        settings: checked ones.
        text_emb: [1, dim] the query's; None says nothing of a query.
    """
    name = settings.right if settings.right != "none" else settings.left
    fitted = engine.fit(name, settings)
    bias = fitted.bias
    own = float(fitted.centred[column])
    nearest: tuple[NearCaption, ...] = ()
    shares, made = None, ""
    if bias.normaliser != "none":
        normaliser = normaliser_of(name, settings)
        bank_emb = engine.bank.text_emb[: bias.n_bank]
        bank_column = engine.gallery.space.column(bank_emb, engine.gallery.video_emb[column])
        shares = normaliser.weights(bank_column, bias.beta)
        made = normaliser.in_words(bias.n_bank, bias.beta)
        nearest = tuple(
            NearCaption(
                engine.bank.captions[row],
                float(bank_column[row]),
                None if shares is None else float(shares[row]),
            )
            for row in top_k(bank_column, min(N_NEAREST, len(bank_column)))
        )
    counted = np.empty(0) if shares is None else shares[shares > 0]
    sim = applied = None
    experts: tuple[ExpertShare, ...] = ()
    if text_emb is not None:
        sims = engine.sims(text_emb)
        sim = float(sims[0, column])
        experts = _experts(engine.gallery.space, text_emb[0], engine.gallery.video_emb[column])
        strength = settings.strength if name == settings.right else 1.0
        applied = strength * own if bias.gate(sims)[0] else 0.0
    return Explanation(
        video_id=engine.gallery.items[column].id,
        normaliser=name,
        sentence=_why(name, nearest, made, own),
        made=made,
        bias=own,
        bias_percentile=float(100 * np.mean(fitted.centred < fitted.centred[column])),
        median_bias=float(np.median(fitted.centred)),
        k_occurrence=int(bias.k_occurrence[column]),
        median_k_occurrence=float(np.median(bias.k_occurrence)),
        is_hub=bool(fitted.is_hub[column]),
        k=bias.k,
        n_bank=bias.n_bank,
        beta=bias.beta,
        nearest=nearest,
        n_counted=len(counted),
        alike=len(counted) > 0 and bool((counted == counted[0]).all()),
        share_shown=sum(near.share or 0.0 for near in nearest),
        applied=applied,
        sim=sim,
        experts=experts,
    )


def _experts(space: Space, text: np.ndarray, video: np.ndarray) -> tuple[ExpertShare, ...]:
    """What each expert says of a query and a video; empty where similarity has no experts."""
    weights, sims = space.shares(text, video)
    return tuple(
        ExpertShare(
            name=name,
            title=expert_title(name),
            asked=float(asked),
            missing=not present,
            weight=float(weight),
            sim=float(sim) if present else None,
            contribution=float(weight * sim),
        )
        for name, asked, present, weight, sim in zip(
            space.experts, space.weights(text), space.weights(video), weights, sims, strict=True
        )
    )


def reason(has_bank: bool, settings: Settings, active: bool, right: Fitted, best: int) -> str:
    """The sentence that says whether the right normaliser stepped in; `best` is the raw top."""
    if not has_bank:
        return "No querybank is loaded, so both columns show raw similarity."
    if settings.right == "none":
        return "Raw similarity on the right: nothing is subtracted."
    title = title_of(settings.right)
    if settings.strength == 0:
        return f"Strength 0: nothing of {title} is applied."
    if right.bias.active is None:
        return f"{title} corrects every query."
    count, n_bank, k = int(right.bias.k_occurrence[best]), right.bias.n_bank, right.bias.k
    if not active:
        same = ", so both columns are the same" if settings.left == "none" else ""
        return (
            f"Unchanged: the raw top video is not a hub ({count:,} of {n_bank:,} bank "
            f"captions){same}."
        )
    answers = "answers" if k == 1 else f"is in the top {k} of"
    return (
        f"Normalised: the raw top video {answers} {count:,} of {n_bank:,} bank captions, so "
        f"{title} stepped in."
    )


def _why(name: str, nearest: tuple[NearCaption, ...], made: str, bias: float) -> str:
    if not made:
        return f"{title_of(name)}: there is no penalty, nothing is subtracted."
    told = f"the video's bias is {bias:+.3f} against the gallery's mean."
    first = nearest[0]
    if first.share is None:
        return f"{made} Here {told}"
    return f"{100 * first.share:.0f} % of this penalty comes from “{first.caption}”; {told}"
