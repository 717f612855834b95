"""Files to take away: the same numbers as the answer, and nothing that runs."""

import csv
import io
import json
import re

import pytest

from retrieval import export
from retrieval.answers import Settings
from tests.page import EVIL, film_library


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return film_library(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def result(library):
    return library.engine("films").rank(query_id="q17", settings=Settings(top=5))


def test_csv_holds_every_card_in_order(result):
    rows = list(csv.DictReader(io.StringIO(export.to_csv(result))))
    assert tuple(rows[0]) == export.COLUMNS
    cards = [(side, card) for side in result.rankings for card in side.results]
    assert len(rows) == len(cards) == 12  # five a column and the ground truth below them
    for row, (ranking, card) in zip(rows, cards, strict=True):
        assert row["method"] == ranking.normaliser
        assert (row["video_id"], int(row["rank"])) == (card.id, card.rank)
        assert float(row["score"]) == card.score
        assert row["is_ground_truth"] == str(card.is_ground_truth)
        assert int(row["k_occurrence"]) == card.k_occurrence
    raw_ranks = {card.id: card.rank for card in result.rankings[0].results}
    for row in rows[6:]:
        if row["video_id"] in raw_ranks:
            assert int(row["raw_rank"]) == raw_ranks[row["video_id"]]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_is_made_text(start):
    assert export._cell(f"{start}1+1") == f"'{start}1+1"
    assert export._cell("1=1") == "1=1"


def test_json_is_the_object_that_the_command_line_prints(result):
    assert json.loads(export.to_json(result)) == json.loads(json.dumps(result.to_dict()))


def test_the_page_carries_posters_and_escapes_words(library, result):
    items = library.items("films")
    page = export.to_html(
        result, items, export.poster_uris(items), lambda item_id: f"http://host/{item_id}"
    )
    assert "<script" not in page
    assert page.count("data:image/jpeg;base64,") == 12
    assert 'href="http://host/v17"' in page
    assert re.findall(r'(?:src|href)="(?!data:|http://host/)', page) == []


def test_a_hostile_caption_is_text_in_the_page(library):
    items = library.items("films")
    answer = library.engine("films").rank(query_id="q5")
    page = export.to_html(answer, items, export.poster_uris(items), lambda item_id: None)
    assert EVIL not in page
    assert "&lt;img src=x onerror=" in page


def test_items_without_media_make_a_page_of_words(library):
    answer = library.engine("bare").rank(query_id="s3")
    page = export.to_html(answer, library.items("bare"), lambda i: None, lambda i: "http://host/x")
    assert "<img" not in page
    assert "http://host" not in page
    assert "b3" in page
