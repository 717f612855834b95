"""What holds for every entry of NORMALISERS: a class, a line in the dict, a slow definition."""

from dataclasses import asdict, fields, replace

import numpy as np
import pytest

from retrieval.answers import Settings
from retrieval.errors import SettingsError
from retrieval.folding import Folding
from retrieval.metrics import ranks_of_chunk, t2v_ranks
from retrieval.normalisers import (
    NORMALISERS,
    SEARCHABLE,
    Evidence,
    fit_all,
    get_normaliser,
    normalise,
    parse_spec,
    sinkhorn,
)
from retrieval.similarity import SimTiles
from tests import reference
from tests.reference import Matrices, k_occurrence_by_definition

# Settings beside the defaults that take another way through the code.
MORE = [
    "qbnorm:beta=7:k=2:theta=2",
    "inverted_softmax:beta=50",
    "csls:neighbours=3",
    "nnn:alpha=0.5:neighbours=1:k=3",
    "dn:alpha=1",
    "dualis:beta=50:gallery_beta=auto",
    "dualdis:beta=20:k=2",
    "sinkhorn:beta=20:captions_first=no",
    "sinkhorn:beta=auto:iterations=1",
    "dbsn:beta=20:iterations=3",
    "hnn:beta=30:tolerance=1e-13",
    "dsl:beta=100",
    "dsl:beta=auto",
    "hsm:batch=2",
    "hsm:batch=3:window=0.4:m=0.2",
    "local_scaling:neighbours=3",
    "nicdm:neighbours=3",
    "mp_empirical:joint=yes",
    "dissimlocal:neighbours=3",
    "localised_centring:neighbours=4",
    "ratio_margin:neighbours=2",
]
SPECS = [*NORMALISERS, *MORE]
TRANSDUCTIVE = [name for name, kind in NORMALISERS.items() if kind.transductive]
FITTED = [spec for spec in SPECS if spec.split(":")[0] not in TRANSDUCTIVE]
ADDITIVE = [spec for spec in SPECS if NORMALISERS[spec.split(":")[0]].additive]


def vectors(rng, n, dim=6, apart=0.5):
    """Unit vectors around a common direction, so that similarities are mostly positive."""
    emb = apart + rng.standard_normal((n, dim)) / 3
    return emb / np.linalg.norm(emb, axis=1, keepdims=True)


def matrices(rng, n_queries=11, n_gallery=9, n_bank=17, n_gallery_bank=13, **more):
    sizes = (n_queries, n_gallery, n_bank, n_gallery_bank)
    return Matrices(*(vectors(rng, n, **more) for n in sizes))


def evidence_of(given, dtype=np.float64):
    names = (field.name for field in fields(Evidence))
    return Evidence(**{name: getattr(given, name).astype(dtype) for name in names})


def tiled(given, row_tile=4, column_tile=5):
    emb = {key: value.astype(np.float32) for key, value in vars(given).items()}
    return Evidence(
        bank_sims=SimTiles(emb["bank_texts"], emb["videos"], row_tile, column_tile),
        gallery_bank_sims=SimTiles(emb["bank_videos"], emb["videos"], row_tile, column_tile),
        bank_gallery_bank_sims=SimTiles(
            emb["bank_texts"], emb["bank_videos"], row_tile, column_tile
        ),
        gallery_sims=SimTiles(emb["videos"], emb["videos"], row_tile, column_tile),
    )


def by_definition(normaliser, given):
    """The published scores, float64."""
    return getattr(reference, f"{normaliser.name}_scores")(given, **asdict(normaliser))


def within_rows(scores):
    """Scores less a constant of each row, which changes no ranking."""
    return scores - scores.mean(axis=1, keepdims=True)


def orders(scores):
    return np.argsort(-scores, axis=1, kind="stable")


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(("dtype", "atol"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_scores_are_those_of_the_slow_definition(rng, spec, dtype, atol):
    given, normaliser = matrices(rng), parse_spec(spec)
    atol = max(atol, getattr(normaliser, "tolerance", 0))
    scores = normalise(normaliser, given.sims.astype(dtype), evidence_of(given, dtype))
    published = by_definition(normaliser, given)
    assert scores.shape == published.shape
    assert scores.dtype == (dtype if normaliser.additive else np.float64)
    if normaliser.additive:
        scores, published = within_rows(scores.astype(np.float64)), within_rows(published)
    scale = max(1.0, np.abs(published).max())
    np.testing.assert_allclose(scores / scale, published / scale, atol=atol)
    if dtype == np.float64:
        np.testing.assert_array_equal(orders(scores.round(12)), orders(published.round(12)))


@pytest.mark.parametrize("spec", SPECS)
def test_inputs_are_left_untouched(rng, spec):
    given = matrices(rng)
    names = [field.name for field in fields(Evidence)]
    before = {name: getattr(given, name) for name in ("sims", *names)}
    used = {name: matrix.copy() for name, matrix in before.items()}
    for matrix in used.values():
        matrix.flags.writeable = False
    sims = used.pop("sims")
    scores = normalise(parse_spec(spec), sims, Evidence(**used))
    assert not np.shares_memory(scores, sims)
    for name, matrix in used.items():
        np.testing.assert_array_equal(matrix, before[name])


@pytest.mark.parametrize("spec", SPECS)
def test_equal_videos_get_equal_scores(rng, spec):
    given = matrices(rng)
    videos = given.videos.copy()
    videos[5] = videos[2]
    given = replace(given, videos=videos)
    scores = normalise(parse_spec(spec), given.sims, evidence_of(given))
    np.testing.assert_allclose(scores[:, 5], scores[:, 2], atol=1e-12)


@pytest.mark.parametrize("spec", SPECS)
def test_many_ties_are_borne(rng, spec):
    given, normaliser = matrices(rng), parse_spec(spec)
    coarse = {name: getattr(given, name).round(1) for name in vars(evidence_of(given))}
    scores = normalise(normaliser, given.sims.round(1), Evidence(**coarse))
    assert np.isfinite(scores).all()
    again = normalise(normaliser, given.sims.round(1), Evidence(**coarse))
    np.testing.assert_array_equal(scores, again)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("sizes", [(3, 1, 5, 4), (3, 6, 1, 4), (3, 6, 5, 1), (1, 1, 1, 1)])
def test_one_item_or_one_bank_row_is_enough(rng, spec, sizes):
    given, normaliser = matrices(rng, *sizes), parse_spec(spec)
    if hasattr(normaliser, "k"):
        normaliser = replace(normaliser, k=1)
    scores = normalise(normaliser, given.sims, evidence_of(given))
    assert scores.shape == (sizes[0], sizes[1]) and np.isfinite(scores).all()


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [[4], list(range(9))])
def test_constant_columns_give_finite_scores(rng, spec, dtype, columns):
    given = matrices(rng)
    wide = {}
    for name in vars(evidence_of(given)):
        matrix = getattr(given, name).astype(dtype)
        matrix[:, columns] = 0.1
        wide[name] = matrix
    scores = normalise(parse_spec(spec), given.sims.astype(dtype), Evidence(**wide))
    assert np.isfinite(scores).all()
    sims = np.full((4, 9), 0.1, dtype=dtype)  # queries that see no difference either
    assert np.isfinite(normalise(parse_spec(spec), sims, Evidence(**wide))).all()


@pytest.mark.parametrize("spec", FITTED)
def test_rows_scored_in_parts_are_those_scored_at_once(rng, spec):
    given = matrices(rng)
    fitted = parse_spec(spec).fit(evidence_of(given))
    whole = fitted.apply(given.sims)
    parts = [fitted.apply(given.sims[rows]) for rows in (slice(0, 1), slice(1, 7), slice(7, 11))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("spec", FITTED)
@pytest.mark.parametrize(("row_tile", "column_tile"), [(1, 1), (4, 5), (100, 3)])
def test_tiles_give_the_scores_of_whole_matrices(rng, spec, row_tile, column_tile):
    given = matrices(rng)
    sims = given.sims.astype(np.float32)
    # A tie or a count must not hang on the last digit of a product.
    whole = normalise(spec, sims, evidence_of(given, np.float32))
    scores = normalise(spec, sims, tiled(given, row_tile, column_tile))
    close = np.isclose(scores, whole, atol=1e-5 * max(1.0, np.abs(whole).max()))
    assert close.mean() > (0.95 if spec.startswith(("gc", "mp_empirical")) else 0.999)


def test_ranks_in_one_reading_are_those_of_the_scores(rng):
    given = matrices(rng, n_queries=60)
    correct = rng.integers(0, 9, 60)
    biases = fit_all([parse_spec(spec) for spec in ADDITIVE], evidence_of(given))
    found = ranks_of_chunk(given.sims, correct, biases, k=3)
    for bias, ranks, best in zip(biases, found.normalised, found.best[1:], strict=True):
        scores = bias.apply(given.sims)
        np.testing.assert_array_equal(ranks, t2v_ranks(scores, correct))
        best_scores = np.take_along_axis(scores, best, axis=1)
        np.testing.assert_array_equal(best_scores, -np.sort(-scores, axis=1)[:, :3])


def test_a_bias_with_several_states_has_queries_in_each_and_is_not_folded(rng):
    given = matrices(rng, n_queries=80, n_bank=5, n_gallery_bank=4, apart=0.0)
    bias = parse_spec("dualdis:beta=20").fit(evidence_of(given))
    assert set(bias.state[given.sims.argmax(axis=1)]) == {0, 1, 2, 3}
    np.testing.assert_array_equal(bias.gate(given.sims), bias.state[given.sims.argmax(axis=1)] > 0)
    with pytest.raises(SettingsError, match="dualdis takes off another bias from query to query"):
        Folding(bias, 6)


def test_what_cannot_answer_single_queries_says_why():
    for name, why in (
        ("gc", "Globally corrected is no number per video"),
        ("dsl", "Dual softmax looks at other test queries"),
        ("dualis", "DualIS needs a bank of other videos"),
    ):
        with pytest.raises(SettingsError, match=f"{why}, so it normalises whole matrices only"):
            Settings(right=name).validated()


@pytest.mark.parametrize("spec", SPECS)
def test_not_a_number_is_refused(rng, spec):
    given = matrices(rng)
    sims = given.sims
    sims[3, 2] = np.nan
    with pytest.raises(ValueError, match="nan at row 3, column 2"):
        normalise(spec, sims, evidence_of(given))
    intact = normalise(spec, given.sims, evidence_of(given))
    refused = []
    for name in vars(evidence_of(given)):
        broken = {other: getattr(given, other) for other in vars(evidence_of(given))}
        broken[name][1, 0] = np.nan
        try:  # a matrix that is not needed is not looked at
            np.testing.assert_array_equal(normalise(spec, given.sims, Evidence(**broken)), intact)
        except ValueError as error:
            assert f"{name} must be finite, got nan at row 1, column 0" in str(error)
            refused.append(name)
    assert len(refused) >= len(NORMALISERS[spec.split(":")[0]].needs - {"test_queries"})


MATRIX_OF = {
    "bank": ("bank_sims",),
    "gallery_bank": ("gallery_bank_sims", "bank_gallery_bank_sims"),
    "gallery": ("gallery_sims",),
    "test_queries": (),
}


@pytest.mark.parametrize("name", NORMALISERS)
def test_a_normaliser_needs_what_it_says_and_no_more(rng, name):
    given, kind = matrices(rng), NORMALISERS[name]
    assert kind.needs <= set(MATRIX_OF)
    enough = {matrix: getattr(given, matrix) for need in kind.needs for matrix in MATRIX_OF[need]}
    normalise(kind(), given.sims, Evidence(**enough))
    if not kind.transductive:
        with pytest.raises(SettingsError, match=f"{kind.title} needs .*_sims, the similarities of"):
            normalise(kind(), given.sims, Evidence())


@pytest.mark.parametrize("name", NORMALISERS)
def test_a_normaliser_says_what_it_is(name):
    kind = NORMALISERS[name]
    assert kind.name == name and kind.title[0].isupper()
    assert kind.cost and kind.paper and kind.__doc__
    if name != "none":
        assert "Source:" in kind.__doc__
    for knob in fields(kind):
        assert knob.metadata["unit"] and knob.metadata["help"]


def test_fitted_together_is_fitted_alone_in_fewer_passes(rng):
    given = matrices(rng)
    normalisers = [parse_spec(spec) for spec in FITTED]
    together = fit_all(normalisers, evidence_of(given))
    for normaliser, fitted in zip(normalisers, together, strict=True):
        alone = normaliser.fit(evidence_of(given))
        np.testing.assert_allclose(fitted.apply(given.sims), alone.apply(given.sims), atol=1e-12)


class CountedTiles(SimTiles):
    """Tiles that count how often they are gone through."""

    n_made = 0

    def blocks(self, scale=1.0, within=None):
        for rows, columns, block in super().blocks(scale, within):
            self.n_made += rows.start == 0 and columns.start == 0
            yield rows, columns, block


def test_all_that_need_one_look_share_one_pass(rng, monkeypatch):
    given = matrices(rng)
    tiles = CountedTiles(given.bank_texts, given.videos, 4, 5)
    fit_all(
        [parse_spec(spec) for spec in ("none", "qbnorm", "csls", "nnn", "dn", *MORE[:5])], tiles
    )
    assert tiles.n_made == 1
    balanced = [parse_spec(f"sinkhorn:beta={beta}:iterations=4") for beta in (10, 20, 30)]
    tiles.n_made = 0
    fit_all(balanced, tiles)
    assert tiles.n_made == 2  # k-occurrence, then the powers
    monkeypatch.setattr(sinkhorn, "HELD_CELLS", 0)
    tiles.n_made = 0
    fit_all(balanced, tiles)
    assert tiles.n_made == 1 + 2 * 4  # k-occurrence, then two half-steps a round


@pytest.mark.parametrize(
    ("spec", "held"),
    [
        ("sinkhorn", True),
        ("sinkhorn:beta=200", False),
        ("dbsn:captions_first=no", True),
        ("hnn:beta=5:tolerance=1e-12", True),
    ],
)
def test_held_powers_give_the_bias_of_tiles_gone_through_anew(rng, monkeypatch, spec, held):
    given, normaliser = evidence_of(matrices(rng)), parse_spec(spec)
    one_go = normaliser.fit(given).values
    monkeypatch.setattr(sinkhorn, "HELD_CELLS", 0)
    anew = normaliser.fit(given).values
    assert anew.dtype == np.float64
    np.testing.assert_allclose(one_go, anew, rtol=0, atol=1e-10)
    assert held or (one_go == anew).all()


@pytest.mark.parametrize("spec", ADDITIVE)
def test_a_bias_holds_the_banks_k_occurrence(rng, spec):
    given, normaliser = matrices(rng), parse_spec(spec)
    bias = normaliser.fit(evidence_of(given))
    np.testing.assert_array_equal(
        bias.k_occurrence, k_occurrence_by_definition(given.bank_sims, normaliser.k)
    )
    assert (bias.normaliser, bias.k, bias.n_bank) == (normaliser.name, normaliser.k, 17)
    assert bias.values.dtype == np.float64


def test_only_additive_ones_answer_single_queries():
    assert set(SEARCHABLE) == {
        *("none", "inverted_softmax", "qbnorm", "csls", "nnn", "dn", "sinkhorn", "hnn"),
        *("dissimlocal", "localised_centring"),
    }
    assert {name for name, kind in NORMALISERS.items() if kind.transductive} == {"dsl", "hsm"}


# ---- the identities of the literature ------------------------------------------------------------


def scores_of(spec, given):
    return normalise(spec, given.sims, evidence_of(given))


def test_identity_1_inverted_softmax_is_s_less_its_bias(rng):
    given = matrices(rng)
    mass = np.logaddexp.reduce(9 * given.bank_sims, axis=0) / 9
    np.testing.assert_array_equal(
        orders(scores_of("inverted_softmax:beta=9", given)), orders(given.sims - mass)
    )


@pytest.mark.parametrize("k", [1, 3, 10])
def test_identity_2_csls_is_nnn_with_half(rng, k):
    given = matrices(rng)
    np.testing.assert_allclose(
        scores_of(f"csls:neighbours={k}", given), scores_of(f"nnn:alpha=0.5:neighbours={k}", given)
    )


def test_identity_3_dn_is_nnn_with_all_neighbours_and_a_shifted_query(rng):
    given = matrices(rng)
    scores = scores_of("dn:alpha=0.4", given)
    np.testing.assert_allclose(scores, scores_of("nnn:alpha=0.4:neighbours=17", given), atol=1e-12)
    shifted = (given.queries - 0.4 * given.bank_texts.mean(axis=0)) @ given.videos.T
    np.testing.assert_allclose(within_rows(scores), within_rows(shifted), atol=1e-12)


def test_identity_4_nnn_at_its_ends_is_inverted_softmax_at_its_ends(rng):
    given = matrices(rng)
    for neighbours, beta in ((1, 1e9), (17, 1e-9)):
        np.testing.assert_allclose(
            scores_of(f"nnn:alpha=1:neighbours={neighbours}", given),
            scores_of(f"inverted_softmax:beta={beta}", given),
            atol=1e-7,
        )


def test_identity_5_the_first_half_step_is_inverted_softmax(rng):
    given = matrices(rng)
    np.testing.assert_allclose(
        scores_of("sinkhorn:beta=30:iterations=1:captions_first=no", given),
        scores_of("inverted_softmax:beta=30", given),
        atol=1e-12,
    )


def test_sinkhorn_converges_to_hubless_neighbours_from_either_side(rng):
    given = matrices(rng)
    for first in ("yes", "no"):
        np.testing.assert_allclose(
            scores_of(f"sinkhorn:beta=15:iterations=300:captions_first={first}", given),
            scores_of("hnn:tolerance=1e-12", given),
            atol=1e-10,
        )


def test_identity_6_dual_is_subtracts_both_masses(rng):
    given = matrices(rng)
    mass = np.logaddexp.reduce(20 * given.bank_sims, axis=0)
    mass += np.logaddexp.reduce(3 * given.gallery_bank_sims, axis=0)
    np.testing.assert_allclose(
        within_rows(scores_of("dualis:beta=20:gallery_beta=3", given)),
        within_rows(given.sims - mass / 23),
        atol=1e-12,
    )


def test_identity_7_dual_softmax_is_inverted_softmax_on_the_test_times_s(rng):
    given = matrices(rng)
    sims = np.abs(given.sims)
    powers = np.log(sims) + 50 * sims - np.logaddexp.reduce(50 * sims, axis=0)
    scores = normalise("dsl:beta=50", sims, Evidence())
    np.testing.assert_allclose(scores, np.exp(powers) * len(sims))


def test_identity_8_localised_centring_is_nnn_on_the_gallery(rng):
    given = matrices(rng)
    np.testing.assert_allclose(
        scores_of("localised_centring:neighbours=4", given),
        normalise("nnn:alpha=1:neighbours=4", given.sims, given.gallery_sims),
        atol=1e-12,
    )


def test_identity_9_dissimlocal_adds_half_the_distance_to_the_centroid(rng):
    given = matrices(rng)
    away = []
    for j, x in enumerate(given.videos):
        others = np.delete(given.videos, j, axis=0)
        centroid = others[np.argsort(-(others @ x))[:3]].mean(axis=0)
        away.append(((x - centroid) ** 2).sum())
    np.testing.assert_allclose(
        within_rows(scores_of("dissimlocal:neighbours=3", given)),
        within_rows(given.sims + np.array(away) / 2),
        atol=1e-12,
    )


@pytest.mark.parametrize("name", ["local_scaling", "nicdm", "znorm"])
def test_identity_10_scaled_items_and_one_coordinate_serve_the_affine_ones(rng, name):
    given = matrices(rng)
    fitted = get_normaliser(name).fit(evidence_of(given))
    scale, offset = (fitted.std, fitted.mean) if name == "znorm" else (fitted.radius, 1.0)
    items = np.c_[given.videos / scale[:, None], -offset / scale]
    index = np.c_[given.queries, np.ones(len(given.queries))] @ items.T
    np.testing.assert_array_equal(orders(index), orders(fitted.apply(given.sims)))


@pytest.mark.parametrize("name", ["gc", "mp_gauss", "mp_empirical", "ratio_margin"])
def test_identity_11_no_bias_gives_the_orders_of_those_that_are_not_additive(rng, name):
    given = matrices(rng, n_queries=300)
    scores, sims = scores_of(name, given), given.sims
    # With a bias, b[j] - b[l] lies above s[i, j] - s[i, l] where item j is put below item l.
    for j in range(9):
        for other in range(j):
            apart = sims[:, j] - sims[:, other]
            above = scores[:, j] > scores[:, other]
            if above.any() and not above.all() and apart[above].min() < apart[~above].max() - 1e-9:
                return
    raise AssertionError(f"{name} could be additive")


@pytest.mark.parametrize("spec", ADDITIVE)
def test_identity_12_a_constant_on_every_similarity_changes_no_ranking(rng, spec):
    given = matrices(rng)
    shifted = Evidence(**{name: getattr(given, name) + 0.3 for name in vars(evidence_of(given))})
    np.testing.assert_allclose(
        within_rows(normalise(spec, given.sims, shifted)),
        within_rows(scores_of(spec, given)),
        atol=1e-9,
    )


def test_identity_12_a_doubled_bank_changes_no_ranking_if_neighbours_double(rng):
    given = matrices(rng)
    doubled = replace(given, bank_texts=np.r_[given.bank_texts, given.bank_texts])
    for spec, again in (
        ("inverted_softmax:beta=20", "inverted_softmax:beta=20"),
        ("qbnorm:beta=20", "qbnorm:beta=20:theta=2"),
        ("nnn:neighbours=3", "nnn:neighbours=6"),
        ("dn", "dn"),
    ):
        np.testing.assert_allclose(scores_of(again, doubled), scores_of(spec, given), atol=1e-12)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("qbnorm:theta=0", "theta must be a whole number, 1 or more, got 0"),
        ("nnn:neighbours=0", "neighbours must be a whole number, 1 or more, got 0"),
        ("nnn:alpha=-1", "alpha must be a number of 0 or more, got -1"),
        ("dn:alpha=nan", "alpha must be a number of 0 or more, got nan"),
        ("dualis:gallery_beta=0", "gallery_beta must be a positive number, got 0"),
        ("sinkhorn:iterations=0", "iterations must be a whole number, 1 or more"),
        ("hsm:m=2", "m must be between 0 and 1, got 2"),
        ("hsm:batch=0", "batch must be a whole number, 1 or more"),
    ],
)
def test_a_knob_out_of_range_is_named(spec, message):
    with pytest.raises(SettingsError, match=message):
        parse_spec(spec)


def test_what_needs_cosines_refuses_logits_and_says_what_to_do(rng):
    given = matrices(rng)
    for name in ("local_scaling", "nicdm"):
        with pytest.raises(SettingsError, match="the bank's similarities reach .*divide them by"):
            normalise(name, given.sims, 100 * given.bank_sims)
        with pytest.raises(SettingsError, match="the similarities reach .*; divide them by the lo"):
            normalise(name, 100 * given.sims, given.bank_sims)
    with pytest.raises(SettingsError, match="gamma 0.5 needs affinities of 0 or more"):
        negative = Evidence(gallery_sims=given.gallery_sims - 1)
        normalise("localised_centring:gamma=0.5", given.sims, negative)
