import json
from dataclasses import asdict
from functools import partial

import numpy as np
import pytest

from benchmarks.choosing import measure
from benchmarks.halves import recall
from retrieval.advice.choosing import VERDICTS, candidates, choose, judge
from retrieval.errors import SettingsError
from retrieval.normalisers import fit_all, parse_spec, spec_of
from retrieval.similarity import SimTiles, unit_rows
from retrieval.streaming.sampling import sample_rows
from tests.test_bank_quality import themed


def with_hubs(rng, n_bank=200, n_gallery=60, size=0.15):
    """Similarities of one space, in which some items are near everything."""
    captions, items = themed(rng, n_bank, n_gallery)
    return captions @ items.T + size * rng.standard_normal(n_gallery).astype(np.float32)


def test_hubs_are_told_and_the_chosen_normaliser_flattens_them(rng):
    choice = choose(with_hubs(rng))
    assert choice.verdict == "normalise" and choice.spec == choice.proposed != "none"
    assert choice.after.robin_hood < choice.before.robin_hood
    assert choice.sentence.startswith(f"Normalise with {choice.spec}: for equal")
    assert 0.1 < choice.strength < 2


def test_a_gallery_without_hubs_needs_no_normaliser(rng):
    captions, items = themed(rng, 300, 60, n_themes=60)
    sims = captions @ items.T
    choice = choose(sims - sims.mean(axis=0), tried=["nnn:alpha=0.05:neighbours=300"])
    assert choice.verdict == "no difference" and choice.spec == "none"


def test_noise_makes_no_difference_however_strong_its_hubs(rng):
    bank_sims = rng.standard_normal((200, 60)) + 2 * rng.standard_normal(60)
    choice = choose(bank_sims)
    assert choice.verdict == "no difference" and "nothing that hubs could hide" in choice.sentence
    assert choice.after.robin_hood < choice.before.robin_hood / 2  # and yet nothing would be found


def test_live_queries_of_another_kind_forbid_it(rng):
    captions, items = themed(rng, 400, 60)
    sims = captions @ items.T
    bank_sims = sims[:200] + 0.5 * (np.arange(60) < 6)  # hubs that only the bank has
    choice = choose(bank_sims, queries=sims[200:])
    assert choice.verdict == "do not" and choice.spec == "none"
    assert choice.live.change > 0 and "not of their kind" in choice.sentence


def test_live_queries_like_the_bank_change_nothing(rng):
    sims = with_hubs(rng, n_bank=400)
    choice = choose(sims[:200], queries=sims[200:])
    assert choice.verdict == "normalise" and choice.live.change < 0


def test_labels_have_the_last_word(rng):
    bank_sims = with_hubs(rng, size=0.0)
    hub = 0.5 * (np.arange(60) < 6)
    correct = rng.integers(0, 6, 80)  # people want the hubs
    sims = 0.1 * rng.standard_normal((80, 60)) + 0.9 * hub
    sims[np.arange(80), correct] += 0.05
    choice = choose(bank_sims + hub, labelled_sims=sims, correct=correct)
    assert choice.verdict == "do not" and choice.labelled.test.hurt > choice.labelled.test.helped
    assert choice.labelled.n_more is None and "labelled queries" in choice.sentence


def test_labels_that_settle_nothing_say_how_many_would(rng):
    sims = with_hubs(rng, n_bank=204)
    choice = choose(sims[:200], labelled_sims=sims[200:], correct=np.arange(4))
    assert choice.labelled.n == 4 and choice.labelled.n_more > 1
    assert choice.verdict == choose(sims[:200]).verdict
    assert f"{choice.labelled.n_more:,} more labelled" in choice.sentence


def test_pairs_needed_of_a_case_worked_by_hand():
    # Two of four queries rise and one falls: d = 3/4, p = 2/3.
    sims = np.array([[0.5, 0.6, 0.0], [0.5, 0.6, 0.0], [0.5, 0.45, 0.0], [0.0, 0.1, 0.9]])
    bank_sims = np.array([[0.0, 0.3, 0.1], [0.1, 0.3, 0.0]])
    bias = parse_spec("dn:alpha=1").fit(bank_sims)
    found = judge(bias, sims, np.array([0, 0, 1, 2]))
    assert (found.test.helped, found.test.hurt, found.test.unchanged) == (2, 0, 2)
    # d = 1/2, p = 1: no spread, so (0.98 / 0.5)^2 / 0.5 = 7.68 pairs.
    assert found.n_more == 8 - 4
    assert found.gain == 50


def test_the_choice_is_the_same_for_matrix_and_embeddings_and_seed(rng):
    captions, items = themed(rng, 120, 50)
    tiles, matrix = choose(SimTiles(captions, items)), choose(captions @ items.T)
    assert tiles.proposed == matrix.proposed and tiles.verdict == matrix.verdict
    assert choose(captions @ items.T) == matrix


def test_large_banks_are_sampled_and_a_mean_over_neighbours_keeps_its_share(rng, monkeypatch):
    seen = []

    def fit_and_note(normalisers, sims):
        seen.append((sims.shape, normalisers[-1].neighbours))
        return fit_all(normalisers, sims)

    monkeypatch.setattr("retrieval.advice.choosing.sample_rows", partial(sample_rows, most=100))
    monkeypatch.setattr("retrieval.advice.choosing.MOST_ITEMS", 20)
    monkeypatch.setattr("retrieval.advice.choosing.fit_all", fit_and_note)
    captions, items = themed(rng, 800, 60)
    choose(SimTiles(captions, items), tried=["csls:neighbours=40"])
    assert set(seen) == {((50, 20), 5)}


def test_inputs_are_untouched_and_the_result_is_plain_data(rng):
    bank_sims = with_hubs(rng)
    before = bank_sims.copy()
    choice = choose(bank_sims, n_splits=2)
    np.testing.assert_array_equal(bank_sims, before)
    assert json.loads(json.dumps(asdict(choice)))["verdict"] in VERDICTS


def test_candidates_are_words_that_read_back():
    for spec in candidates(std=0.0483, n_bank=3000):
        assert spec_of(parse_spec(spec_of(parse_spec(spec)))) == spec_of(parse_spec(spec))
    assert "nnn:alpha=0.5:neighbours=32" not in candidates(std=0.05, n_bank=100)


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((19, 50), {}, "needs 20 bank captions"),
        ((50, 4), {}, "8 gallery items"),
        ((50, 20), {"n_splits": 1}, "n_splits must be 2 or more"),
        ((50, 20), {"tried": ["none"]}, "nothing to choose from"),
        ((50, 20), {"tried": ["nonsense"]}, "unknown normaliser"),
        ((50, 20), {"queries": np.zeros((9, 21))}, "21 gallery items, the bank 20"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(rng, shape, settings, message):
    with pytest.raises((SettingsError, ValueError), match=message):
        choose(rng.standard_normal(shape), **settings)


def test_labels_without_answers_are_refused(rng):
    with pytest.raises(ValueError, match="go together"):
        choose(rng.standard_normal((50, 20)), labelled_sims=np.zeros((3, 20)))


@pytest.mark.parametrize(
    ("folder", "file", "verdict"),
    [
        ("coco500_clip_vitb16", "features_clip.npy", "normalise"),
        ("msrvtt100_videoclip", "features_videoclip.npy", "normalise"),
        ("coco500_clip_vitb16", "features_clip_random.npy", "no difference"),
        ("msrvtt100_videoclip", "features_videoclip_random.npy", "no difference"),
    ],
)
def test_real_embeddings_gain_what_the_paper_gains_and_random_ones_are_left(
    shared_data, folder, file, verdict
):
    videos, texts = (unit_rows(emb) for emb in np.load(shared_data(folder) / file))
    ranks, choices = measure(videos, texts, 20.0, n_splits=8, seed=1)
    raw, paper, chosen = recall(ranks)[..., 0].mean(axis=0)
    assert sum(choice.verdict == verdict for choice in choices) >= 7
    if verdict == "normalise":
        assert chosen - raw > 3 and chosen > paper - 1.5  # 8 halves: error about 1
    else:
        assert abs(chosen - raw) < 1
