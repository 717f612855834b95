from dataclasses import replace

import numpy as np
import pytest

from benchmarks.halves import halves, recall
from retrieval.errors import SettingsError
from retrieval.metrics import t2v_ranks
from retrieval.normalisers import (
    NORMALISERS,
    SEARCHABLE,
    Evidence,
    get_normaliser,
    knobs,
    parse_spec,
    penalty_shares,
    spec_of,
    title_of,
)
from retrieval.similarity import SimTiles, unit_rows
from retrieval.streaming.tiles import mean_std
from tests.reference import (
    activation_set_by_definition,
    inverted_softmax_by_definition,
    k_occurrence_by_definition,
    log_mean_exp_by_definition,
    qbnorm_by_definition,
)

BANK_SIMS = np.array([[0.2, 0.7, 0.1, 0.6], [0.1, 0.65, 0.2, 0.6], [0.6, 0.3, 0.1, 0.55]])
SIMS = np.array(
    [[0.5, 0.6, 0.1, 0.2], [0.3, 0.55, 0.02, 0.1], [0.1, 0.58, 0.56, 0], [0.05, 0.1, 0.15, 0.4]]
)


# Additive, fitted on a querybank alone.
WITH_BANK = [name for name, kind in NORMALISERS.items() if kind.additive and kind.needs == {"bank"}]


def orders(scores):
    return np.argsort(-scores, axis=1, kind="stable")


def random_sims(rng, n_bank=13, n_queries=17, n_gallery=9, dtype=np.float64):
    bank_sims = rng.uniform(-1, 1, (n_bank, n_gallery))
    return bank_sims.astype(dtype), rng.uniform(-1, 1, (n_queries, n_gallery)).astype(dtype)


@pytest.mark.parametrize(
    ("beta", "k", "active", "ranks"),
    [
        (20, 1, [0, 1], [1, 1, 1, 1]),
        (20, 2, [0, 1, 3], [1, 1, 1, 2]),
        (20, 4, [0, 1, 2, 3], [1, 1, 1, 2]),
        (1 / 1.99, 1, [0, 1], [1, 1, 1, 1]),
    ],
)
def test_the_worked_example_of_qb_norm(beta, k, active, ranks):
    bias = get_normaliser("qbnorm", beta=beta, k=k).fit(BANK_SIMS)
    np.testing.assert_array_equal(np.flatnonzero(bias.active), active)
    np.testing.assert_array_equal(bias.gate(SIMS), [True, True, True, 3 in active])
    np.testing.assert_array_equal(t2v_ranks(bias.apply(SIMS)), ranks)


def test_the_bias_holds_the_published_sums():
    values = get_normaliser("qbnorm", beta=20.0).fit(BANK_SIMS).values.astype(np.float64)
    published = [162816.77862513598, 1645421.10496719, 69.37626223100554, 385383.72455320565]
    np.testing.assert_allclose(values, np.log(np.array(published) / 3) / 20, rtol=1e-6)


def test_the_slow_definition_reproduces_the_published_output():
    out = qbnorm_by_definition(BANK_SIMS, SIMS, beta=20, k=1)
    published = [
        [1.35283759e-01, 9.89137619e-02, 1.06506979e-01, 1.41672174e-04],
        [2.47780847e-03, 3.63883395e-02, 2.15033882e-02, 1.91732438e-05],
        [4.53826452e-05, 6.63038774e-02, 1.05411332e03, 2.59481638e-06],
        [0.05, 0.1, 0.15, 0.4],
    ]
    np.testing.assert_allclose(out, published, rtol=1e-8)


@pytest.mark.parametrize("k", [1, 2, 9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_qbnorm_gives_the_published_values_within_active_rows(rng, k, dtype):
    bank_sims, sims = random_sims(rng, n_bank=4, dtype=dtype)
    bank_before, before = bank_sims.copy(), sims.copy()
    beta = 7.0
    bias = get_normaliser("qbnorm", beta=beta, k=k).fit(bank_sims)
    scores = bias.apply(sims)
    published = qbnorm_by_definition(bank_sims, sims, beta, k)
    gate = bias.gate(sims)
    assert set(np.flatnonzero(bias.active)) == activation_set_by_definition(bank_sims, k)
    assert gate.any() and (k == 9 or not gate.all())
    # Scores differ from the ratio's logarithm by constants of the whole gallery.
    shift = np.mean(bias.values, dtype=np.float64) + np.log(bias.n_bank) / beta
    ratios = np.exp(beta * (scores.astype(np.float64) - shift))
    np.testing.assert_allclose(ratios[gate], published[gate], rtol=2e-5)
    np.testing.assert_array_equal(scores[~gate], published[~gate])
    assert scores.dtype == dtype
    np.testing.assert_array_equal(bank_sims, bank_before)
    np.testing.assert_array_equal(sims, before)


def test_identity_1_inverted_softmax_order_is_that_of_sims_less_bias(rng):
    bank_sims, sims = random_sims(rng)
    scores = get_normaliser("inverted_softmax", beta=9).fit(bank_sims).apply(sims)
    ratios = inverted_softmax_by_definition(bank_sims, sims, 9)
    np.testing.assert_array_equal(orders(scores), orders(ratios))
    assert (orders(scores) != orders(sims)).any()


def test_identity_4_the_limits_of_beta_are_the_largest_and_the_mean(rng):
    bank_sims, _ = random_sims(rng)
    large = get_normaliser("inverted_softmax", beta=1e6).fit(bank_sims).values
    small = get_normaliser("inverted_softmax", beta=1e-6).fit(bank_sims).values
    np.testing.assert_allclose(large, bank_sims.max(axis=0), atol=1e-5)
    np.testing.assert_allclose(small, bank_sims.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("name", ["inverted_softmax", "qbnorm"])
def test_identity_12_a_constant_or_a_doubled_bank_changes_no_rank(rng, name):
    bank_sims, sims = random_sims(rng)
    normaliser = get_normaliser(name, beta=11.0)
    scores = normaliser.fit(bank_sims).apply(sims)
    np.testing.assert_allclose(normaliser.fit(bank_sims + 0.3).apply(sims), scores, atol=1e-6)
    doubled = np.concatenate([bank_sims, bank_sims])
    np.testing.assert_allclose(normaliser.fit(doubled).apply(sims), scores, atol=1e-6)


@pytest.mark.parametrize("name", WITH_BANK)
@pytest.mark.parametrize("beta", [1e-200, 1e-3, 1.0, 20, 1e3, 1e6, 1e200])
def test_float32_survives_any_beta(rng, name, beta):
    bank_sims, sims = random_sims(rng, dtype=np.float32)
    bias = get_normaliser(name, beta=beta, k=2).fit(bank_sims)
    assert bias.values.dtype == np.float32
    if name in ("inverted_softmax", "qbnorm"):
        expected = [log_mean_exp_by_definition(column, beta) for column in bank_sims.T]
        np.testing.assert_allclose(bias.values, expected, atol=1e-6)
    assert np.isfinite(bias.apply(sims)).all()


def test_logits_at_a_beta_that_overflows_the_released_code(rng):
    logits = (25 + 8 * rng.standard_normal((40, 6))).astype(np.float32)
    bias = get_normaliser("qbnorm", beta=20.0).fit(logits)
    expected = [log_mean_exp_by_definition(column, 20.0) for column in logits.T]
    np.testing.assert_allclose(bias.values, expected, rtol=1e-6)


@pytest.mark.parametrize("name", WITH_BANK)
@pytest.mark.parametrize("beta", [None, 20.0])
@pytest.mark.parametrize(("row_tile", "column_tile"), [(1, 1), (4, 7), (100, 3)])
def test_tiles_of_embeddings_give_the_bias_of_the_whole_matrix(
    rng, name, beta, row_tile, column_tile
):
    bank_emb = unit_rows(rng.standard_normal((15, 6)))
    video_emb = unit_rows(rng.standard_normal((22, 6)))
    normaliser = get_normaliser(name, beta=beta, k=3)
    whole = normaliser.fit(bank_emb @ video_emb.T)
    tiled = normaliser.fit(SimTiles(bank_emb, video_emb, row_tile, column_tile))
    np.testing.assert_allclose(tiled.values, whole.values, atol=1e-6)
    np.testing.assert_array_equal(tiled.k_occurrence, whole.k_occurrence)
    assert (tiled.n_bank, tiled.k) == (15, 3)
    if name == "qbnorm":
        np.testing.assert_array_equal(tiled.active, whole.active)


def test_bank_rows_in_any_order_give_the_same_bias(rng):
    bank_sims, _ = random_sims(rng, n_bank=50, dtype=np.float32)
    order = rng.permutation(50)
    fitted = [
        get_normaliser("qbnorm", beta=20.0).fit(sims) for sims in (bank_sims, bank_sims[order])
    ]
    np.testing.assert_allclose(fitted[0].values, fitted[1].values, atol=1e-6)
    np.testing.assert_array_equal(fitted[0].active, fitted[1].active)


@pytest.mark.parametrize("name", WITH_BANK)
@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1)])
def test_one_caption_or_one_item_is_enough(rng, name, shape):
    bank_sims = rng.uniform(-1, 1, shape).astype(np.float32)
    bias = get_normaliser(name, beta=None, k=1).fit(bank_sims)
    assert np.isfinite(bias.values).all()
    assert bias.k_occurrence.sum() == shape[0]
    scores = bias.apply(np.zeros((3, shape[1]), dtype=np.float32))
    assert np.isfinite(scores).all()


def test_an_item_with_an_equal_bank_column_gets_that_value(rng):
    bank_sims, _ = random_sims(rng, dtype=np.float32)
    bank_sims[:, 4] = -0.25
    for beta in (1e-3, 20.0, 1e6):
        bias = get_normaliser("inverted_softmax", beta=beta).fit(bank_sims)
        assert bias.values[4] == pytest.approx(-0.25, abs=1e-7)


def test_equal_similarities_activate_the_lowest_column():
    bias = get_normaliser("qbnorm", beta=20.0, k=2).fit(np.full((5, 4), 0.5))
    np.testing.assert_array_equal(bias.active, [True, True, False, False])
    np.testing.assert_array_equal(bias.gate(np.array([[1, 1, 1, 1], [0, 0, 1, 1]])), [True, False])


def test_scale_free_beta_is_one_over_the_spread(rng):
    bank_sims, sims = random_sims(rng)
    fitted = get_normaliser("inverted_softmax").fit(bank_sims)
    assert fitted.beta == pytest.approx(1 / bank_sims.std())
    logits = get_normaliser("inverted_softmax").fit(100 * bank_sims)
    np.testing.assert_allclose(logits.apply(100 * sims), 100 * fitted.apply(sims), rtol=1e-4)


def test_scale_free_beta_of_embeddings_needs_no_matrix(rng):
    bank_emb = unit_rows(rng.standard_normal((15, 6)))
    video_emb = unit_rows(rng.standard_normal((22, 6)))
    tiles = SimTiles(bank_emb, video_emb)
    assert get_normaliser("qbnorm").fit(tiles).beta == pytest.approx(1 / mean_std(tiles)[1])


def test_a_bank_without_any_spread_changes_nothing():
    bias = get_normaliser("inverted_softmax").fit(np.full((3, 4), 0.2))
    assert bias.beta == 1.0
    np.testing.assert_array_equal(bias.apply(SIMS), SIMS)


def test_raw_similarities_stay_and_their_hubs_are_counted(rng):
    bank_sims, sims = random_sims(rng)
    bias = get_normaliser("none", k=3).fit(bank_sims)
    np.testing.assert_array_equal(bias.apply(sims), sims)
    assert not bias.gate(sims).any()
    np.testing.assert_array_equal(bias.k_occurrence, k_occurrence_by_definition(bank_sims, 3))
    assert bias.beta is None and bias.active is None


def test_strength_goes_from_raw_to_normalised(rng):
    bank_sims, sims = random_sims(rng)
    bias = get_normaliser("inverted_softmax", beta=10.0).fit(bank_sims)
    np.testing.assert_array_equal(bias.apply(sims, strength=0), sims)
    for strength in (0.3, 1.0):
        scores = bias.apply(sims, strength)
        np.testing.assert_allclose(scores, sims - strength * bias.centred, atol=1e-7)
    assert bias.centred.mean() == pytest.approx(0, abs=1e-7)


def test_penalty_shares_say_how_much_of_the_bias_each_caption_holds(rng):
    bank_sims, _ = random_sims(rng)
    shares = penalty_shares(bank_sims[:, 2], 5.0)
    expected = np.exp(5 * bank_sims[:, 2]) / np.exp(5 * bank_sims[:, 2]).sum()
    np.testing.assert_allclose(shares, expected)
    assert penalty_shares(bank_sims[:, 2], 1e6).sum() == pytest.approx(1)
    np.testing.assert_array_equal(penalty_shares(np.array([0.5, 0.5]), 20), [0.5, 0.5])


@pytest.mark.parametrize("spec", [*SEARCHABLE, "nnn:neighbours=4", "csls:neighbours=1"])
def test_weights_say_how_the_bias_moves_with_each_caption(rng, spec):
    """Whatever a method claims of single captions must be how its bias really behaves."""
    bank_sims, _ = random_sims(rng)
    normaliser = parse_spec(spec, beta=4.0)
    weights = normaliser.weights(bank_sims[:, 2], 4.0)
    assert normaliser.in_words(13, 4.0).endswith(".")
    if weights is None or spec == "none":
        return
    evidence = Evidence(bank_sims=bank_sims, gallery_sims=np.eye(9))
    before, moved = normaliser.fit(evidence).values[2], np.empty(len(bank_sims))
    for row in range(len(bank_sims)):
        nudged = bank_sims.copy()
        nudged[row, 2] += 1e-6
        moved[row] = normaliser.fit(replace(evidence, bank_sims=nudged)).values[2] - before
    np.testing.assert_allclose(weights, moved / moved.sum(), atol=1e-4)
    assert weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("name", NORMALISERS)
def test_knobs_tell_a_form_all_it_needs(name):
    for each in knobs(name):
        assert each.kind in (int, float, bool) and each.unit and each.help
        assert each.default is None or isinstance(each.default, each.kind)
    assert title_of(name) == NORMALISERS[name].title


def test_a_title_tells_the_settings_that_are_not_the_default_ones():
    assert title_of("nnn:neighbours=8:alpha=0.5").endswith("(alpha 0.5, neighbours 8)")
    assert title_of("qbnorm:beta=20") == "QB-Norm (beta 20)"


@pytest.mark.parametrize("beta", [0, -1, np.nan, np.inf])
def test_a_beta_that_is_not_positive_is_refused(beta):
    for name in ("inverted_softmax", "qbnorm"):
        with pytest.raises(SettingsError, match="beta must be a positive number, got"):
            get_normaliser(name, beta=beta)
    with pytest.raises(SettingsError, match="beta must be a positive number"):
        penalty_shares(np.ones(3), beta)


@pytest.mark.parametrize("k", [0, -1, 5])
@pytest.mark.parametrize("name", WITH_BANK)
def test_a_k_that_the_gallery_cannot_fill_is_refused(name, k):
    with pytest.raises(
        SettingsError, match=r"k must be a whole number in 1\.\.4 \(the gallery size\)"
    ):
        get_normaliser(name, k=k).fit(BANK_SIMS)


def test_unknown_names_and_settings_list_what_exists():
    with pytest.raises(ValueError, match="unknown normaliser 'magic'; available: none, inverted"):
        get_normaliser("magic")
    with pytest.raises(ValueError, match="unknown setting 'gain' of a normaliser; available: alp"):
        get_normaliser("qbnorm", gain=2)
    assert get_normaliser("none", beta=20.0, k=2).k == 2


def test_a_bias_of_another_gallery_and_bad_similarities_are_refused():
    bias = get_normaliser("qbnorm", beta=20.0).fit(BANK_SIMS)
    with pytest.raises(ValueError, match="sims have 3 gallery items, the bias 4"):
        bias.apply(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="nan at row 1, column 0"):
        bias.gate(np.array([[0, 0, 0, 0], [np.nan, 0, 0, 0]]))
    with pytest.raises(SettingsError, match="strength must be between 0"):
        bias.apply(SIMS, strength=1.5)
    with pytest.raises(ValueError, match="inf at row 2, column 1"):
        get_normaliser("qbnorm").fit(np.array([[0.0, 0], [0, 0], [0, np.inf]]))


@pytest.mark.parametrize(
    ("name", "file", "raw", "normalised"),
    [
        ("coco500_clip_vitb16", "features_clip.npy", 59.6, 64.0),
        ("msrvtt100_videoclip", "features_videoclip.npy", 32.8, 51.0),
    ],
)
def test_qbnorm_gains_on_real_embeddings_what_is_known(shared_data, name, file, raw, normalised):
    videos, texts = (unit_rows(emb) for emb in np.load(shared_data(name) / file))
    means = recall(halves(videos, texts, [get_normaliser("qbnorm", beta=20.0).fit], n_splits=20))[
        ..., 0
    ].mean(axis=0)
    np.testing.assert_allclose(means, [raw, normalised], atol=3)  # 20 halves: error about 1


@pytest.mark.parametrize("name", ["coco500_clip_vitb16", "msrvtt100_videoclip"])
def test_qbnorm_gains_nothing_on_a_random_network(shared_data, name):
    path = next(shared_data(name).glob("*_random.npy"))
    videos, texts = (unit_rows(emb) for emb in np.load(path))
    raw, normalised = recall(
        halves(videos, texts, [get_normaliser("qbnorm", beta=20.0).fit], n_splits=20)
    )[..., 0].mean(axis=0)
    assert abs(normalised - raw) < 4  # two standard errors of 100 pairs


@pytest.mark.parametrize("name", NORMALISERS)
def test_a_normaliser_goes_through_its_word(name):
    default = NORMALISERS[name]()
    assert spec_of(default) == name and parse_spec(name) == default


def test_words_hold_what_differs_from_the_defaults():
    nnn = parse_spec("nnn:alpha=0.5:neighbours=8", beta=20.0, k=3)
    assert (nnn.alpha, nnn.neighbours, nnn.k) == (0.5, 8, 3)
    assert spec_of(nnn) == "nnn:alpha=0.5:neighbours=8:k=3"
    assert parse_spec(spec_of(nnn)) == nnn
    assert parse_spec("qbnorm:beta=auto", beta=20.0).beta is None
    with pytest.raises(SettingsError, match="'beta=2' in 'nnn:beta=2' is no setting of nnn; write"):
        parse_spec("nnn:beta=2")
    assert parse_spec("sinkhorn:captions_first=no").captions_first is False
    with pytest.raises(SettingsError, match="captions_first must be yes or no, got 'maybe'"):
        parse_spec("sinkhorn:captions_first=maybe")
    with pytest.raises(SettingsError, match="alpha must be a number, got 'auto'"):
        parse_spec("nnn:alpha=auto")
    with pytest.raises(SettingsError, match="k must be a whole number, got '1.5'"):
        parse_spec("nnn:k=1.5")
