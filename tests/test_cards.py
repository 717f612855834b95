"""Cards: what they say about ranks, moves and hubs."""

import re
from dataclasses import replace

import pytest

from retrieval import cards
from retrieval.answers import Settings
from retrieval.gallery import Item
from tests.fakes import make_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return make_engine(tmp_path_factory.mktemp("cards"))


@pytest.fixture(scope="module")
def active(engine):
    """An answer that the normaliser changed."""
    ids = (row.id for row in engine.changes().rows if row.active and row.delta)
    return engine.rank(query_id=next(ids))


def show(engine, result, **options):
    return cards.columns_html(
        result, {i.id: i for i in engine.gallery.items}, cards.Media(), **options
    )


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (4, 1, "up 3"),
        (1, 9, "down 8"),
        (2, 2, "unchanged"),
        (2.5, 1, "up 1.5"),
        (2, 2.5, "down 0.5"),
    ],
)
def test_moves_are_told_by_number_and_word(before, after, words):
    assert cards.move_words(before, after) == words
    shown = cards.move_html(before, after)
    assert words in shown
    number = words.split()[-1]
    if words.startswith("up"):
        assert f"▲{number}" in shown
    elif words.startswith("down"):
        assert f"▼{number}" in shown


def test_every_card_of_both_columns_is_there_in_order(engine, active):
    found = re.findall(r'class="hl-card[^>]* data-id="([^"]+)"', show(engine, active))
    expected = [card.id for ranking in active.rankings for card in ranking.results]
    assert found == expected


def test_bars_are_scaled_inside_their_column(engine, active):
    shown = show(engine, active)
    left = shown.split('<section class="hl-column"')[1]
    widths = [int(width) for width in re.findall(r"width:(\d+)%", left)]
    assert widths[0] == 100
    assert min(widths) == cards.BAR_FLOOR
    assert widths == sorted(widths, reverse=True)


def test_a_constant_column_has_full_bars(engine, active):
    left = active.rankings[0]
    same = replace(left, results=tuple(replace(card, score=0.5) for card in left.results))
    shown = show(engine, replace(active, rankings=(same, active.rankings[1])))
    left = shown.split('<section class="hl-column"')[1]
    assert set(re.findall(r"width:(\d+)%", left)) == {"100"}


def test_an_unchanged_answer_is_one_list_but_not_while_the_slider_stands_at_zero(engine, active):
    zero = engine.rank(query_id=active.query_id, settings=Settings(strength=0.0))
    assert not cards.is_merged(active)
    assert not cards.is_merged(zero)
    resting = [row.id for row in engine.changes().rows if not row.active]
    if resting:
        assert cards.is_merged(engine.rank(query_id=resting[0]))
    raw = engine.rank(query_id=active.query_id, settings=Settings(right="none"))
    assert cards.is_merged(raw)
    assert show(engine, raw).count('<section class="hl-column"') == 1


def test_the_gap_counts_what_is_not_shown(engine):
    row = max(engine.changes().rows, key=lambda row: row.raw_rank)
    result = engine.rank(query_id=row.id, settings=Settings(top=2))
    rank = result.rankings[0].results[-1].rank
    assert rank > 4
    assert f"⋮ {rank - 3} not shown" in show(engine, result)


def test_blind_columns_keep_their_sides_and_tell_nothing(engine, active):
    shown = show(engine, active, blind=True)
    assert shown == show(engine, active, blind=True)
    for word in ("QB-Norm", "Raw", "HUB", "ground truth", "▲", "▼", "similarity", "Why"):
        assert word not in shown


def test_words_from_outside_are_escaped(engine, active):
    evil = "<b onclick='x'>&\"${1+1}`"
    left = active.rankings[0]
    first = replace(left.results[0], caption=evil, id=evil, is_hub=True)
    result = replace(
        active,
        unknown_words=(evil,),
        reason=evil,
        warning=evil,
        rankings=(replace(left, results=(first, *left.results[1:])), active.rankings[1]),
    )
    item = Item(evil, extras={"url": 'https://host/"><script>'})
    everything = (
        cards.columns_html(result, {evil: item}, cards.Media())
        + cards.status_html(result)
        + cards.unknown_words_html(result)
    )
    assert "<b onclick" not in everything
    assert "<script" not in everything


@pytest.mark.parametrize(
    ("query", "unknown", "nothing_left"),
    [
        ("a zeppelin over the sea", ("zeppelin",), False),
        ("Zeppelins, ZEPPELIN!", ("Zeppelins", "ZEPPELIN"), True),
        ("كلب يجري", ("كلب", "يجري"), True),
        ("🐶🎾", ("🐶🎾",), True),
        ("don’t", ("don’t",), True),
    ],
)
def test_a_query_without_a_known_word_is_not_said_to_rest_on_the_others(
    active, query, unknown, nothing_left
):
    told = cards.unknown_words_html(replace(active, query=query, unknown_words=unknown))
    assert ("rests on the rest" in told) is not nothing_left
    assert ("does not answer it" in told) is nothing_left


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//host", 7, None])
def test_only_web_addresses_become_links(url):
    item = Item("one", extras={"url": url})
    assert cards._missing_clip_html(item) == ""


def test_a_clip_kept_elsewhere_is_linked():
    shown = cards._missing_clip_html(Item("one", extras={"url": "https://host/clip"}))
    assert 'href="https://host/clip"' in shown
    assert "Clip not shipped" in shown


def test_sounds_are_played_in_the_card_and_their_stills_covered(engine, active):
    media = cards.Media(lambda i: f"p/{i}", lambda i: f"c/{i}", heard=True)
    items = {item.id: item for item in engine.gallery.items}
    shown = cards.columns_html(active, items, media)
    n_cards = sum(len(ranking.results) for ranking in active.rankings)
    assert shown.count('<audio controls preload="none" src="c/') == n_cards
    assert shown.count("<details") == n_cards and "<details open" not in shown
    assert "data-clip" not in shown
