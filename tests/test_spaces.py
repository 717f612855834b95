"""What similarity means, against slow definitions, and the same in all that compares rows."""

import json

import numpy as np
import pytest

from retrieval.__main__ import main
from retrieval.advice.choosing import choose
from retrieval.answers import Settings, expert_title
from retrieval.commands import choose_for
from retrieval.engine import Engine
from retrieval.evaluation import evaluate
from retrieval.gallery import EncoderId, open_gallery, write_gallery
from retrieval.normalisers import Evidence, get_normaliser
from retrieval.spaces import InnerProduct, WeightedExperts, space_of
from tests.fakes import FakeExperts, make_expert_engine, sentences
from tests.reference import weighted_experts_by_definition

DIMS = (("audio", 3), ("ocr", 2), ("rgb", 4))


@pytest.fixture
def space() -> WeightedExperts:
    return WeightedExperts(DIMS)


def rows_of(rng: np.random.Generator, space: WeightedExperts, n: int, gaps: bool) -> np.ndarray:
    """Rows with any lengths; weights of a mixture, or 0 and 1."""
    emb = 3 * rng.standard_normal((n, space.dim))
    weights = rng.dirichlet(np.ones(len(DIMS)), n)
    if gaps:
        weights = (rng.random(weights.shape) < 0.5).astype(float)
        weights[np.arange(n), np.arange(n) % len(DIMS)] = 1
    emb[:, space.head :] = weights
    return emb


@pytest.fixture(params=["text to video", "video to text", "video to video", "text to text"])
def pair(request, rng, space) -> tuple[np.ndarray, np.ndarray]:
    asking, asked = request.param.split(" to ")
    queries = rows_of(rng, space, 11, gaps=asking == "video")
    items = rows_of(rng, space, 6, gaps=asked == "video")
    return space.checked(queries, "queries"), space.checked(items, "items")


def test_all_ways_to_compare_match_the_definition(space, pair):
    queries, items = pair
    expected = weighted_experts_by_definition(queries, items, [dim for _, dim in DIMS])
    rows = space.rows(queries, space.items(items))
    assert rows.shape == (11, 6)
    np.testing.assert_allclose(rows.read_rows(2, 9), expected[2:9], atol=1e-7)
    np.testing.assert_allclose(space.tiles(queries, items).matrix(), expected, atol=1e-6)
    for j, item in enumerate(items):
        np.testing.assert_allclose(space.column(queries, item), expected[:, j], atol=1e-6)
    weights, sims = space.shares(queries[3], items[4])
    assert weights.sum() == pytest.approx(1 if expected[3, 4] else weights.sum())
    assert weights @ sims == pytest.approx(expected[3, 4], abs=1e-6)
    assert np.abs(expected).max() <= space.tiles(queries, items).bound


def test_what_nothing_is_known_of_is_zero(space):
    one, other = np.zeros((2, 1, space.dim))
    one[0, :3], one[0, space.head] = 1, 1  # audio alone
    other[0, 3:5], other[0, space.head + 1] = 1, 1  # ocr alone
    one, other = space.checked(one, "one"), space.checked(other, "other")
    assert space.rows(one, space.items(other)).read_rows(0, 1) == 0
    assert space.tiles(one, other).matrix() == 0
    assert space.column(one, other[0]) == 0
    assert space.shares(one[0], other[0])[0].tolist() == [0, 0, 0]


def test_checked_rows_are_unit_where_they_have_weight(rng, space):
    given = rows_of(rng, space, 20, gaps=True)
    given[:, :3][given[:, space.head] == 0] = np.nan  # anything where an expert is missing
    before = given.copy()
    rows = space.checked(given, "rows")
    np.testing.assert_array_equal(given, before)
    for number, part in enumerate(space.parts):
        lengths = np.linalg.norm(rows[:, part], axis=1)
        np.testing.assert_allclose(lengths, given[:, space.head + number], atol=1e-6)
    np.testing.assert_allclose(space.checked(rows, "rows"), rows, atol=1e-7)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda x: x[:, :-1],
            r"rows must be \[n, 12\], embeddings of audio, ocr, rgb and a weight",
        ),
        (lambda x: x.__setitem__((4, 0), np.nan), "row 4 of rows has a weight for audio, whose"),
        (lambda x: x.__setitem__((3, slice(3, 5)), 0), "row 3 of rows has a weight for ocr, whose"),
        (lambda x: x.__setitem__((2, 10), -0.1), "row 2 of rows holds a weight that is NaN"),
        (lambda x: x.__setitem__((1, 11), np.inf), "row 1 of rows holds a weight that is NaN"),
        (lambda x: x.__setitem__((5, slice(9, 12)), 0), "row 5 of rows has no expert at all"),
    ],
)
def test_rows_that_cannot_be_compared_are_named(rng, space, spoil, message):
    given = rows_of(rng, space, 7, gaps=False)
    spoiled = spoil(given)
    with pytest.raises(ValueError, match=message):
        space.checked(given if spoiled is None else spoiled, "rows")


def test_a_space_is_told_by_an_encoders_id(rng):
    assert isinstance(EncoderId("a", "0" * 64, 9).space, InnerProduct)
    assert EncoderId("a", "0" * 64, 12, None, DIMS).space.experts == ("audio", "ocr", "rgb")
    with pytest.raises(ValueError, match="weights are 12 numbers, a row has 13"):
        space_of(13, DIMS)


# ---- a gallery of experts ------------------------------------------------------------------------


@pytest.fixture
def engine(tmp_path) -> Engine:
    return make_expert_engine(tmp_path)


def test_an_engine_ranks_by_the_weighted_mean(engine):
    text = sentences(40, seed=9)[30]
    found = engine.rank(text, settings=Settings(top=30))
    query = engine.gallery.space.checked(FakeExperts().encode_text([text]), "query")
    dims = [dim for _, dim in engine.gallery.encoder.experts]
    expected = weighted_experts_by_definition(query, engine.gallery.video_emb, dims)[0]
    raw = {each.id: each.score for each in found.rankings[0].results}
    for row, item in enumerate(engine.gallery.items):
        assert raw[item.id] == pytest.approx(expected[row], abs=1e-6)
    assert found.rankings[0].results[0].id == engine.gallery.items[int(expected.argmax())].id


def test_why_names_every_expert_and_adds_up(engine):
    told = engine.explain("v0", query_id="q3")  # its first expert is missing
    assert [each.name for each in told.experts] == ["audio", "ocr", "rgb.clip.0"]
    assert [each.title for each in told.experts] == ["sound", "words on screen", "frames"]
    assert [each.missing for each in told.experts] == [True, False, False]
    assert told.experts[0].sim is None and told.experts[0].weight == 0
    assert sum(each.asked for each in told.experts) == pytest.approx(1)
    assert sum(each.weight for each in told.experts) == pytest.approx(1)
    assert sum(each.contribution for each in told.experts) == pytest.approx(told.sim, abs=1e-6)
    assert told.to_dict()["experts"][1]["title"] == "words on screen"
    assert engine.explain("v0").experts == ()  # without a query there is no mixture
    assert expert_title("i3d.i3d.0") == "motion" and expert_title("mine") == "mine"


def test_bias_and_nearest_captions_are_of_the_same_similarity(engine):
    gallery, bank = engine.gallery, engine.bank
    dims = [dim for _, dim in gallery.encoder.experts]
    bank_sims = weighted_experts_by_definition(bank.text_emb, gallery.video_emb, dims)
    expected = get_normaliser("inverted_softmax").fit(bank_sims.astype(np.float32))
    told = engine.explain("v4", Settings(right="inverted_softmax"))
    assert told.bias == pytest.approx(expected.centred[4], abs=1e-5)
    best = int(bank_sims[:, 4].argmax())
    assert told.nearest[0].caption == bank.captions[best]
    assert told.nearest[0].sim == pytest.approx(bank_sims[best, 4], abs=1e-6)


def test_evaluation_and_the_engine_agree(engine):
    report = evaluate(engine.gallery, engine.bank)
    changes = engine.changes(Settings())
    assert report.rows[0].metrics["R@1"] == changes.metrics_raw["R@1"]
    assert report.rows[-1].metrics["R@1"] == pytest.approx(changes.metrics_norm["R@1"])
    back = evaluate(engine.gallery, None, direction="v2t")
    dims = [dim for _, dim in engine.gallery.encoder.experts]
    sims = weighted_experts_by_definition(
        engine.gallery.video_emb, engine.gallery.queries.text_emb, dims
    )
    first = np.mean(sims.argmax(axis=1) == np.arange(len(sims)))
    assert back.rows[0].metrics["R@1"] == pytest.approx(100 * first)
    assert engine.hubness(over="bank").n_queries == len(engine.bank)


def test_galleries_keep_their_experts_media_and_halves(tmp_path, engine):
    given = engine.gallery
    rows = [{"id": item.id} for item in given.items]
    write_gallery(tmp_path / "half", given.video_emb, rows, given.encoder, media="audio", half=True)
    opened = open_gallery(tmp_path / "half")
    assert opened.encoder.experts == given.encoder.experts
    assert (opened.media, given.media) == ("audio", "video")
    assert opened.manifest["files"]["video_emb.npy"]["size"] < given.video_emb.nbytes
    np.testing.assert_allclose(opened.video_emb, given.video_emb, atol=1e-3)
    for number, part in enumerate(opened.space.parts):
        lengths = np.linalg.norm(opened.video_emb[:, part], axis=1)
        weights = opened.video_emb[:, opened.space.head + number]
        np.testing.assert_allclose(lengths, weights, atol=1e-6)


def test_a_bias_is_taken_elsewhere_without_what_only_inner_products_have(tmp_path, engine, capsys):
    where = ["--gallery", str(tmp_path / "gallery"), "--bank", str(tmp_path / "gallery-bank")]
    out = tmp_path / "bias.json"
    assert main(["bias", *where, "--out", str(out)]) == 0
    written = json.loads(out.read_text())
    bias = engine.fit("qbnorm", Settings()).bias
    np.testing.assert_allclose(written["bias"], bias.centred, atol=1e-6)
    assert not {"c", "length", "dim"} & set(written["about"])
    assert main(["bias", *where, "--faiss", str(tmp_path / "index.faiss")]) == 2
    told = capsys.readouterr().err
    assert "--faiss needs an inner product, and gallery gallery compares by the experts" in told


def test_a_normaliser_is_chosen_for_experts_as_for_their_matrix(engine):
    gallery, bank = engine.gallery, engine.bank
    sims = gallery.space.tiles(bank.text_emb, gallery.video_emb).matrix()
    assert choose_for(gallery, bank, None).spec == choose(sims).spec


@pytest.mark.parametrize("name", ["dissimlocal", "localised_centring"])
def test_normalisers_that_look_at_the_gallery_compare_videos_by_shared_experts(engine, name):
    space, emb = engine.gallery.space, engine.gallery.video_emb
    dims = [dim for _, dim in engine.gallery.encoder.experts]
    of_videos = weighted_experts_by_definition(emb, emb, dims).astype(np.float32)
    bank_sims = space.tiles(engine.bank.text_emb, emb).matrix()
    expected = get_normaliser(name).fit(Evidence(bank_sims=bank_sims, gallery_sims=of_videos))
    report = evaluate(engine.gallery, engine.bank, (name,))
    np.testing.assert_allclose(report.rows[1].bias.values, expected.values, atol=1e-5)
