"""The answer to "Why?": penalties, their captions, and what each expert adds."""

import re
from dataclasses import replace

import pytest

from retrieval import why
from retrieval.answers import Explanation, NearCaption
from tests.fakes import make_engine, make_expert_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return make_engine(tmp_path_factory.mktemp("why"))


@pytest.fixture(scope="module")
def active(engine):
    """An answer that the normaliser changed."""
    ids = (row.id for row in engine.changes().rows if row.active and row.delta)
    return engine.rank(query_id=next(ids))


def test_the_panel_adds_up(engine, active):
    video = active.rankings[0].results[0].id
    answer = engine.explain(video, query_id=active.query_id)
    shown = why.explanation_html(answer, active)
    shares = [float(share) for share in re.findall(r"<b>([\d.]+) %</b> of this penalty", shown)]
    assert len(shares) == 3
    assert sum(shares) == pytest.approx(100 * answer.share_shown, abs=0.2)
    assert f"Together {100 * answer.share_shown:.1f} %" in shown
    assert f"= score <b>{active.rankings[1].results[0].score:.3f}</b>" in why.explanation_html(
        engine.explain(active.rankings[1].results[0].id, query_id=active.query_id), active
    )


def test_the_panel_says_when_nothing_was_taken_off(active):
    answer = Explanation(
        *("v9", "qbnorm", "", "Made <so>.", 0.25, 40.0, 0.0, 0, 1.0, False, 1, 50, 8.0),
        *((NearCaption("a <dog>", 0.5, 0.9),), 50, False, 0.9, 0.0, 0.4),
    )
    shown = why.explanation_html(answer, active)
    assert "nothing is taken off its similarity of 0.400" in shown
    assert "a &lt;dog&gt;" in shown
    assert "the other 49 captions hold the rest" in shown
    assert "Made &lt;so&gt;." in shown


@pytest.mark.parametrize(
    ("shares", "n_counted", "alike", "words"),
    [
        ((0.5, 0.5), 2, True, "<b>50.0 %</b> is the weight of <q>c0</q>"),
        ((0.0002, 0.0002), 5000, True, "<b>0.02 %</b> is the weight of <q>c0</q>"),
        ((1.0, 0.0), 1, True, "Together 100.0 %; that is all of it"),
        ((None, None), 0, False, "Its nearest bank captions:"),
    ],
)
def test_the_panel_names_shares_only_where_there_are_any(active, shares, n_counted, alike, words):
    near = tuple(NearCaption(f"c{n}", 0.5, share) for n, share in enumerate(shares))
    answer = Explanation(
        *("v9", "x", "", "Made so.", 0.25, 40.0, 0.0, 0, 1.0, False, 1, 5000, None),
        *(near, n_counted, alike, sum(share or 0 for share in shares), 0.1, 0.4),
    )
    shown = why.explanation_html(answer, active)
    assert words in shown
    assert ("Together" in shown) == (n_counted > 0)
    assert ("c1" in shown) == (shares[1] != 0.0)


@pytest.mark.parametrize(
    ("values", "total", "told"),
    [
        ([0.33333, 0.33333, 0.33333], 0.99999, ["0.334", "0.333", "0.333"]),
        ([0.2496, 0.2496], 0.4992, ["0.250", "0.249"]),
        ([0.5004, -0.1004, 0.0001], 0.4001, ["0.500", "-0.100", "0.000"]),
        ([], 0.0, []),
    ],
)
def test_numbers_are_rounded_such_that_they_add_up(values, total, told):
    assert why.adding_up(values, total) == told
    assert sum(map(float, told)) == pytest.approx(round(total, 3))


def test_the_panel_tells_what_each_expert_adds_and_which_are_missing(tmp_path):
    engine = make_expert_engine(tmp_path)
    gaps = 0
    for video in ("v0", "v1", "v2", "v4"):
        answer = engine.explain(video, query_id="q3")
        shown = why.explanation_html(answer, engine.rank(query_id="q3"))
        added = [float(each) for each in re.findall(r"</i></span>(-?[\d.]+)</td></tr>", shown)]
        assert sum(added) == pytest.approx(round(answer.sim, 3))
        assert f"<b>{answer.sim:.3f}</b></td></tr></tfoot>" in shown
        missing = [each for each in answer.experts if each.missing]
        assert shown.count("missing: ") == len(missing)
        assert len(added) + len(missing) == len(answer.experts) == 3
        gaps += len(missing)
    assert gaps > 0


@pytest.mark.parametrize(
    ("verb", "applied", "words"),
    [
        ("down", -0.2, "It fell all the same, because what passed it gained more."),
        ("up", 0.2, "It rose all the same, because what it passed lost more."),
        ("down", 0.2, ""),
        ("up", -0.2, ""),
    ],
)
def test_a_move_against_the_penalty_is_explained(active, verb, applied, words):
    first, *rest = active.rankings[0].results
    first = replace(first, other_rank=first.rank + (2 if verb == "down" else -0.5))
    left = replace(active.rankings[0], results=(first, *rest))
    result = replace(active, rankings=(left, active.rankings[1]))
    answer = Explanation(
        *(first.id, "qbnorm", "", "Made so.", applied, 40.0, 0.0, 0, 1.0, False, 1, 50, 8.0),
        *((NearCaption("a dog", 0.5, 0.9),), 50, False, 0.9, applied, 0.4),
    )
    shown = why.explanation_html(answer, result)
    assert words in shown
    assert ("all the same" in shown) is bool(words)
