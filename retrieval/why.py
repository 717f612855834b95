"""Explanation -> HTML: the answer to "Why?", with the penalty's captions and the experts' shares.

Every word from outside passes `html.escape`, as in `cards`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from retrieval.answers import ExpertShare, Explanation, SearchResult
from retrieval.cards import move_words

# Why a video lacks an expert, by the first part of the expert's name.
MISSING = {
    "audio": "this clip is silent",
    "face": "no face was found in it",
    "ocr": "no words were read in it",
    "speech": "no speech and no signal was heard in it",
}


def explanation_html(answer: Explanation, result: SearchResult) -> str:
    """The "Why?" panel: the penalty, its place in the gallery, and who it comes from."""
    verb = _verb(answer.video_id, result)
    question = {"up": "Why did it rise?", "down": "Why did it fall?"}.get(verb, "Why is it here?")
    sentences = [_voters(answer)] if answer.n_bank else []
    if answer.nearest:
        sentences.append(
            f"Its bias is <b>{answer.bias:+.3f}</b> against the gallery's mean, higher than that "
            f"of <b>{answer.bias_percentile:.1f} %</b> of the gallery (median video: "
            f"{answer.median_bias:+.3f})."
        )
        sentences.append(escape(answer.made))
    else:
        sentences.append(escape(answer.sentence))
    body = [f"<p>{' '.join(sentences)}</p>"]
    if answer.nearest:
        body.append(_shares_html(answer) if answer.n_counted else _nearest_html(answer))
    if answer.sim is not None and answer.applied is not None:
        body.append(f"<p>{_sum_text(answer, result)}</p>")
    if answer.experts:
        body = [f'<div class="hl-reasons"><div>{"".join(body)}</div>{_experts_html(answer)}</div>']
    video = escape(answer.video_id)
    return (
        f'<section class="hl-panel" tabindex="-1" aria-label="Why {video}"><h2>{question} '
        f'<span class="hl-id">{video}</span></h2><button type="button" class="hl-button" '
        f'data-close aria-label="Close">✕</button>{"".join(body)}</section>'
    )


def _verb(video_id: str, result: SearchResult) -> str:
    """ "up", "down" or "unchanged": how a shown video moved from left to right."""
    for side, ranking in enumerate(result.rankings):
        for card in ranking.results:
            if card.id == video_id:
                before, after = (card.rank, card.other_rank)[:: 1 if side == 0 else -1]
                return move_words(before, after).split()[0]
    return "unchanged"


def _voters(answer: Explanation) -> str:
    what = "the best match for" if answer.k == 1 else f"among the best {answer.k} for"
    return (
        f"It is {what} <b>{answer.k_occurrence:,} of {answer.n_bank:,}</b> bank captions "
        f"(median video: {answer.median_k_occurrence:g})."
    )


def _shares_html(answer: Explanation) -> str:
    """The bank captions that pull most, with shares of the penalty that add up to one."""
    rows = "".join(
        f'<li><span class="hl-share" aria-hidden="true"><i style="width:{100 * near.share:.1f}%">'
        f"</i></span><span>{_share_text(near.share, answer.alike)} "
        f'<q>{escape(near.caption)}</q> <span class="hl-note">similarity {near.sim:.3f}</span>'
        "</span></li>"
        for near in answer.nearest
        if near.share
    )
    others = answer.n_counted - sum(1 for near in answer.nearest if near.share)
    rest = f"the other {others:,} captions hold the rest" if others else "that is all of it"
    return (
        f'<ul class="hl-shares">{rows}</ul><p class="hl-note">Together '
        f"{100 * answer.share_shown:.1f} %; {rest}. The penalty is largest where its bank captions "
        "are nearest.</p>"
    )


def _share_text(share: float, alike: bool) -> str:
    """A share with as many digits as show it: of 5,000 captions each counts 0.02 %."""
    told = f"{100 * share:.1f}" if share >= 0.001 else f"{100 * share:.2g}"
    words = "is the weight of" if alike else "of this penalty comes from"
    return f"<b>{told} %</b> {words}"


def _nearest_html(answer: Explanation) -> str:
    """The nearest bank captions, where no share of the penalty can be named."""
    rows = "".join(
        f'<li><q>{escape(near.caption)}</q> <span class="hl-note">similarity {near.sim:.3f}</span>'
        "</li>"
        for near in answer.nearest
    )
    return f'<p class="hl-note">Its nearest bank captions:</p><ul class="hl-shares">{rows}</ul>'


def _experts_html(answer: Explanation) -> str:
    """What the similarity is made of: each expert's weight, similarity, and what it adds."""
    experts = sorted(answer.experts, key=lambda each: (each.missing, -each.contribution))
    present = [each for each in experts if not each.missing]
    added = adding_up([each.contribution for each in present], answer.sim)
    largest = max((abs(each.contribution) for each in present), default=0.0) or 1.0
    rows = "".join(
        _expert_row(each, told, 100 * max(each.contribution, 0) / largest)
        for each, told in zip(present, added, strict=True)
    ) + "".join(_missing_row(each) for each in experts if each.missing)
    gone = sum(each.asked for each in experts if each.missing)
    rest = (
        f" The query gave {100 * gone:.0f} % of its weight to experts that this video lacks; the "
        "others share it."
        if gone >= 0.005
        else ""
    )
    return (
        '<table class="hl-experts"><caption>Its similarity comes from these experts. A weight is '
        f"what the query asks of an expert, among those that the video has.{rest}</caption>"
        '<thead><tr><th scope="col">expert</th><th scope="col">weight</th>'
        '<th scope="col">similarity</th><th scope="col">adds</th></tr></thead>'
        f'<tbody>{rows}</tbody><tfoot><tr><th scope="row">together</th><td>100.0 %</td><td></td>'
        f"<td><b>{answer.sim:.3f}</b></td></tr></tfoot></table>"
    )


def _expert_row(expert: ExpertShare, added: str, width: float) -> str:
    return (
        f"<tr>{_expert_name(expert)}<td>{100 * expert.weight:.1f} %</td><td>{expert.sim:.3f}</td>"
        f'<td><span class="hl-share" aria-hidden="true"><i style="width:{width:.0f}%"></i></span>'
        f"{added}</td></tr>"
    )


def _missing_row(expert: ExpertShare) -> str:
    why = MISSING.get(expert.name.split(".")[0], "this video has no features of it")
    return f'<tr class="hl-missing">{_expert_name(expert)}<td colspan="3">missing: {why}</td></tr>'


def _expert_name(expert: ExpertShare) -> str:
    title = expert.title[:1].upper() + expert.title[1:]
    small = f" <small>{escape(expert.name)}</small>" if expert.name != expert.title else ""
    return f'<th scope="row">{escape(title)}{small}</th>'


def adding_up(values: Sequence[float], total: float, digits: int = 3) -> list[str]:
    """Numbers with so many digits after the point, rounded such that they add up to the total's.

    What is left over goes to those that rounding down took most from.
    """
    unit = 10**digits
    units = [math.floor(value * unit) for value in values]
    left = round(total * unit) - sum(units)
    most_cut = sorted(range(len(units)), key=lambda n: units[n] - values[n] * unit)
    for n in most_cut[: max(left, 0)]:
        units[n] += 1
    return [f"{each / unit:.{digits}f}" for each in units]


def _sum_text(answer: Explanation, result: SearchResult) -> str:
    """similarity - penalty = score, or that nothing was taken off."""
    if answer.applied == 0:
        return f"For this query nothing is taken off its similarity of {answer.sim:.3f}."
    sign = "−" if answer.applied > 0 else "+"
    strength = result.settings.strength
    share = "" if strength == 1 else f" (strength {strength:.2f} × {answer.bias:+.3f})"
    verb = _verb(answer.video_id, result)
    despite = {
        ("down", "+"): " It fell all the same, because what passed it gained more.",
        ("up", "−"): " It rose all the same, because what it passed lost more.",
    }
    return (
        f"For this query: similarity {answer.sim:.3f} {sign} {abs(answer.applied):.3f}{share} "
        f"= score <b>{answer.sim - answer.applied:.3f}</b>.{despite.get((verb, sign), '')}"
    )
