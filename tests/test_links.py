"""Links: what the address of the page restores, and what it refuses."""

import pytest

from retrieval.tabs import links
from retrieval.tabs.links import View

GALLERIES = {"films": ["films-bank", "other-bank"], "bare": []}


def parse(search):
    return links.parse(search, GALLERIES)


@pytest.mark.parametrize(
    "view",
    [
        View(gallery="films", bank="films-bank", q="a dog & a cat? 100 % 'sure' + ü 😀"),
        View(gallery="bare", query_id="msrvtt:8123/3"),
        View(
            *("two kites", "", "films", "other-bank", "nnn:alpha=0.5:neighbours=8", "csls"),
            *(20.5, 3, 17, 25, 0.37, "hubness", True),
        ),
    ],
)
def test_a_link_restores_its_view(view):
    link = links.build(view)
    assert link.startswith("?")
    assert parse(link) == (view, [])


def test_defaults_are_left_out_so_that_links_stay_readable():
    view = View(gallery="films", bank="films-bank", q="a dog on a beach", beta=20.0)
    assert links.build(view) == "?q=a+dog+on+a+beach&gallery=films&bank=films-bank&beta=20"


def test_an_empty_address_is_the_first_gallery_with_its_first_bank():
    assert parse("") == (View(gallery="films", bank="films-bank"), [])


@pytest.mark.parametrize(
    ("search", "field", "default", "words"),
    [
        ("?beta=0", "beta", None, "beta=0"),
        ("?beta=-3", "beta", None, "0.001 to 1e+06"),
        ("?beta=1e99", "beta", None, "0.001 to 1e+06"),
        ("?beta=nan", "beta", None, "beta=nan"),
        ("?beta=two", "beta", None, "beta=two"),
        ("?k=0", "k", 1, "1 to 100"),
        ("?k=1.5", "k", 1, "whole number"),
        ("?k=99999999999999999999", "k", 1, "whole number"),
        ("?n=101", "n", 10, "1 to 100"),
        ("?n=%D9%A3", "n", 10, "whole number"),  # a digit, but not one of ours
        ("?strength=1.01", "strength", 1.0, "0 to 1"),
        ("?left=best", "left", "none", "unknown normaliser 'best'"),
        ("?left=nnn:alpha=much", "left", "none", "alpha must be a number"),
        ("?right=nnn:colour=1", "right", "qbnorm", "no setting of nnn"),
        ("?right=" + "x" * 5000, "right", "qbnorm", "unknown normaliser"),
        ("?gallery=moon", "gallery", "films", "known: films, bare"),
        ("?bank=moon", "bank", "films-bank", "films-bank"),
        ("?tab=uploads", "tab", "compare", "tab=uploads"),
        ("?bank_size=none", "bank_size", None, "bank_size=none"),
        ("?blind=yes", "blind", False, "blind=yes"),
        ("?q=" + "x" * 301, "q", "", "301 characters"),
        ("?colour=red", "q", "", "colour"),
    ],
)
def test_what_cannot_be_used_falls_back_and_is_named(search, field, default, words):
    view, problems = parse(search)
    assert getattr(view, field) == default
    assert len(problems) == 1
    assert words in problems[0]
    assert len(problems[0]) <= 200


def test_each_bad_part_gets_its_own_sentence_and_good_parts_hold():
    view, problems = parse("?q=kites&beta=x&k=3&n=0")
    assert (view.q, view.beta, view.k, view.n) == ("kites", None, 3, 10)
    assert len(problems) == 2


def test_a_stored_query_wins_over_typed_words():
    assert parse("?q=kites&query_id=q4")[0].q == ""
    assert parse("?q=kites&query_id=q4")[0].query_id == "q4"


def test_names_with_two_underscores_belong_to_gradio():
    assert parse("?__theme=dark")[1] == []


def test_null_bytes_and_control_characters_never_reach_a_message():
    view, problems = parse("?q=a%00b&gallery=%1b%5b31m")
    assert view.q == "ab"
    assert all(character.isprintable() for character in problems[0])


def test_a_bank_belongs_to_its_gallery():
    view, problems = parse("?gallery=bare&bank=films-bank")
    assert view.bank == ""
    assert "known: none" in problems[0]
