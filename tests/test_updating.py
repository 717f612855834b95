from dataclasses import replace

import numpy as np
import pytest

from retrieval.errors import GalleryError, SettingsError
from retrieval.normalisers import NORMALISERS, Evidence, Updatable, fit_updatable, parse_spec
from retrieval.similarity import SimTiles, unit_rows

EXACT = [
    "none:k=2",
    "inverted_softmax:beta=20",
    "qbnorm:beta=20",
    "qbnorm:beta=50:k=3:theta=2",
    "csls:neighbours=4",
    "nnn:neighbours=5:k=2",
    "nnn:neighbours=100",
    "dn:alpha=0.5",
    "dualis:beta=50:gallery_beta=3",
    "dualdis:beta=20:gallery_beta=5:k=2",
]


def cosines(rng, n_rows, n_columns, dtype=np.float64):
    texts, videos = (unit_rows(rng.standard_normal((n, 8))) for n in (n_rows, n_columns))
    return (texts.astype(np.float64) @ videos.T.astype(np.float64)).astype(dtype)


@pytest.fixture
def sims(rng):
    """Similarities of 30 bank captions and 20 bank videos to 17 gallery videos."""
    return {"bank_sims": cosines(rng, 30, 17), "gallery_bank_sims": cosines(rng, 20, 17)}


def assert_same(bias, refit):
    np.testing.assert_allclose(bias.values, refit.values, atol=1e-12)
    np.testing.assert_array_equal(bias.k_occurrence, refit.k_occurrence)
    for part in ("active", "state"):
        np.testing.assert_array_equal(getattr(bias, part), getattr(refit, part))
    if refit.states is not None:
        np.testing.assert_allclose(bias.states, refit.states, atol=1e-12)
    for name in ("normaliser", "beta", "k", "n_bank"):
        assert getattr(bias, name) == getattr(refit, name)
    assert bias.values.dtype == refit.values.dtype


def banks(spec):
    return ("bank_sims", "gallery_bank_sims") if spec.startswith("dual") else ("bank_sims",)


def only(spec, sims):
    return Evidence(**{name: sims[name] for name in banks(spec)})


@pytest.mark.parametrize("spec", EXACT)
def test_appended_captions_give_the_bias_of_a_refit(sims, spec):
    normaliser = parse_spec(spec)
    for of in banks(spec):
        whole = sims[of]
        kept = fit_updatable(normaliser, only(spec, {**sims, of: whole[:3]}))
        for rows in (slice(3, 4), slice(4, len(whole))):
            kept = kept.append_bank(whole[rows], of)
        assert_same(kept.bias, normaliser.fit(only(spec, sims)))


@pytest.mark.parametrize("spec", EXACT)
def test_removed_captions_give_the_bias_of_a_refit(sims, spec):
    normaliser = parse_spec(spec)
    for of in banks(spec):
        gone = np.array([19, 2, 7])
        left = np.delete(sims[of], gone, axis=0)
        kept = fit_updatable(normaliser, only(spec, sims))
        kept = kept.remove_bank(
            gone, sims[of][np.sort(gone)], of, columns=lambda items, left=left: left[:, items]
        )
        assert_same(kept.bias, normaliser.fit(only(spec, {**sims, of: left})))


@pytest.mark.parametrize("spec", EXACT)
def test_added_items_give_the_bias_of_a_refit(sims, spec):
    normaliser = parse_spec(spec)
    kept = fit_updatable(normaliser, only(spec, {n: s[:, :9] for n, s in sims.items()}))
    kept = kept.add_items(only(spec, {name: s[:, 9:10] for name, s in sims.items()}))
    kept = kept.add_items(only(spec, {name: s[:, 10:] for name, s in sims.items()}))
    assert_same(kept.bias, normaliser.fit(only(spec, sims)))


@pytest.mark.parametrize("spec", EXACT)
def test_removed_items_give_the_bias_of_a_refit(sims, spec):
    normaliser = parse_spec(spec)
    gone = np.array([16, 0, 5])
    left = {name: np.delete(s, gone, axis=1) for name, s in sims.items()}
    kept = fit_updatable(normaliser, only(spec, sims))
    kept = kept.remove_items(
        gone, {name: lambda captions, s=s: s[captions] for name, s in left.items()}
    )
    assert_same(kept.bias, normaliser.fit(only(spec, left)))


@pytest.mark.parametrize("spec", EXACT)
def test_a_long_life_ends_in_the_bias_of_a_refit(rng, spec):
    normaliser = parse_spec(spec)
    names = banks(spec)
    sims = {name: cosines(rng, 12, 10) for name in names}
    kept = fit_updatable(normaliser, Evidence(**sims))
    for _ in range(15):
        of = names[rng.integers(len(names))]
        match rng.integers(4):
            case 0:
                new = cosines(rng, 2, sims[of].shape[1])
                kept, sims[of] = kept.append_bank(new, of), np.concatenate([sims[of], new])
            case 1:
                gone = rng.choice(len(sims[of]), 2, replace=False)
                part, sims[of] = sims[of][np.sort(gone)], np.delete(sims[of], gone, axis=0)
                kept = kept.remove_bank(gone, part, of, lambda items, s=sims[of]: s[:, items])
            case 2:
                new = {name: cosines(rng, len(s), 1) for name, s in sims.items()}
                kept = kept.add_items(Evidence(**new))
                sims = {name: np.concatenate([s, new[name]], axis=1) for name, s in sims.items()}
            case 3 if sims[of].shape[1] > 4:
                gone = rng.integers(sims[of].shape[1])
                sims = {name: np.delete(s, gone, axis=1) for name, s in sims.items()}
                kept = kept.remove_items(
                    [gone], {name: lambda rows, s=s: s[rows] for name, s in sims.items()}
                )
    assert_same(kept.bias, normaliser.fit(Evidence(**sims)))


def test_float32_tiles_stay_close_to_a_refit(rng):
    bank, videos = (
        unit_rows(rng.standard_normal((300, 16))),
        unit_rows(rng.standard_normal((40, 16))),
    )
    for spec in ("qbnorm:beta=30", "nnn", "dn"):
        normaliser = parse_spec(spec)
        kept = fit_updatable(normaliser, SimTiles(bank[:200], videos))
        bias = kept.append_bank(SimTiles(bank[200:], videos)).bias
        refit = normaliser.fit(SimTiles(bank, videos))
        assert bias.values.dtype == np.float32
        np.testing.assert_allclose(bias.values, refit.values, atol=1e-6)
        np.testing.assert_array_equal(bias.k_occurrence, refit.k_occurrence)


@pytest.mark.parametrize("spec", EXACT)
def test_a_kept_state_comes_back_from_its_arrays(sims, spec):
    kept = fit_updatable(parse_spec(spec), only(spec, sims))
    again = Updatable.from_arrays(kept.to_arrays())
    assert_same(again.bias, kept.bias)
    more = np.full((1, 17), 0.3)
    assert_same(again.append_bank(more).bias, kept.append_bank(more).bias)


def test_a_damaged_state_is_refused(sims):
    arrays = fit_updatable(parse_spec("dn"), sims["bank_sims"]).to_arrays()
    for broken in ({}, {"kept": arrays["kept"]}, {"kept": np.zeros(4, np.uint8)}):
        with pytest.raises(GalleryError, match="damaged .*; delete it and fit again"):
            Updatable.from_arrays(broken)


@pytest.mark.parametrize("name", [n for n, kind in NORMALISERS.items() if not kind.updates])
def test_what_depends_on_everything_is_fitted_again(sims, name):
    with pytest.raises(SettingsError, match="cannot be updated exactly.*; fit again"):
        fit_updatable(NORMALISERS[name](), sims["bank_sims"])


@pytest.mark.parametrize("name", ["gc", "dsl", "znorm"])
def test_what_has_no_bias_cannot_be_updated(sims, name):
    with pytest.raises(SettingsError, match="cannot be updated exactly"):
        fit_updatable(NORMALISERS[name](), sims["bank_sims"])


def test_a_scale_free_beta_asks_for_a_number(sims):
    with pytest.raises(SettingsError, match="a scale-free beta changes with every caption"):
        fit_updatable(parse_spec("qbnorm"), sims["bank_sims"])


def test_what_would_not_be_exact_is_refused_and_names_the_refit(sims):
    bank = sims["bank_sims"]
    best = bank.argmax(axis=1)
    kept = fit_updatable(parse_spec("inverted_softmax:beta=20"), bank)
    with pytest.raises(
        SettingsError, match="captions had a removed item among their 1 best.* or fit again"
    ):
        kept.remove_items([best[0]])
    never = np.setdiff1d(np.arange(17), best)[0]
    left = np.delete(bank, never, axis=1)
    assert_same(kept.remove_items([never]).bias, kept.normaliser.fit(left))
    with pytest.raises(SettingsError, match="all but 1% of the mass of .* or fit again"):
        kept.remove_bank(np.arange(29), bank[:29])
    nnn = fit_updatable(parse_spec("nnn:neighbours=3"), bank)
    with pytest.raises(SettingsError, match="items had a removed caption among their 3 nearest"):
        nnn.remove_bank([bank[:, 0].argmax()], bank[[bank[:, 0].argmax()]])


def test_bad_changes_are_named(sims):
    kept = fit_updatable(parse_spec("dn"), sims["bank_sims"])
    with pytest.raises(
        ValueError, match=r"new bank_sims have shape \(2, 16\), expected 17 gallery"
    ):
        kept.append_bank(np.zeros((2, 16)))
    with pytest.raises(
        ValueError, match=r"new bank_sims have shape \(29, 2\), expected 30 rows of"
    ):
        kept.add_items(np.zeros((29, 2)))
    with pytest.raises(SettingsError, match="was fitted on bank_sims, not on gallery_bank_sims"):
        kept.append_bank(np.zeros((2, 17)), "gallery_bank_sims")
    with pytest.raises(SettingsError, match=r"captions to remove must be numbers in 0\.\.29"):
        kept.remove_bank([30], np.zeros((1, 17)))
    with pytest.raises(SettingsError, match="all 17 items would be removed"):
        kept.remove_items(np.arange(17))
    with pytest.raises(ValueError, match="2 captions leave, but there are similarities of 1"):
        kept.remove_bank([1, 2], np.zeros((1, 17)))
    with pytest.raises(ValueError, match="nan at row 0, column 3"):
        new = np.zeros((1, 17))
        new[0, 3] = np.nan
        kept.append_bank(new)
    assert replace(kept).bias is not kept.bias  # changes make new ones, and leave the old as it was
