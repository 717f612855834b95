"""A querybank's similarities -> which normaliser to use, how strongly, or none. No label needed.

The rule, all of it:

1. Half of the bank fits every candidate, the other half asks. The candidate that leaves the
   lowest Robin Hood index of the asking half's k-occurrence (k = 5) is proposed: the mean over
   random halves, each used both ways around.
2. It is used if it lowers that index by more than twice the standard error against raw, and the
   similarities know something to begin with: `match_skewness` above zero by twice its standard
   error. Otherwise it makes no difference. The second condition matters: an untrained network
   makes the strongest hubs of all, any normaliser flattens them, and nothing is found below.
3. Live queries, where there are some, ask too: if the proposal makes their k-occurrence less
   equal by more than twice the standard error, the bank is not of their kind: do not.
4. Labelled pairs, where there are some, have the last word if their paired test is beyond noise.

k = 5: what people see; at 1 the counts of a small bank are mostly noise, while deeper places favour
normalisers that overdo it on the first.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from retrieval import hubness, metrics
from retrieval.advice.bank_quality import LEAST_MATCH, BankQuality, bank_quality, places
from retrieval.errors import SettingsError
from retrieval.normalisers import Bias, Normaliser, fit_all, parse_spec, spec_of
from retrieval.similarity import MatrixTiles, SimTiles, Tiles, as_tiles, top_k
from retrieval.statistics import PairedTest, paired_test
from retrieval.streaming.sampling import pick, sample_rows
from retrieval.streaming.tiles import mean_std

N_SPLITS = 10
MOST_ITEMS = 512  # of the gallery that one split looks at
MOST_ASKED = 4  # times as many captions ask, at most
LEAST_BANK, LEAST_GALLERY = 20, 8  # below, halves of the bank tell nothing
ERRORS = 2  # standard errors that a change must exceed to be more than noise
STRENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # times 1 / std(bank_sims), the scale-free beta
VERDICTS = {
    "normalise": "Normalise",
    "no difference": "Normalising makes no difference",
    "do not": "Do not normalise",
}


@dataclass(frozen=True)
class Tried:
    """One candidate on captions that it was not fitted on."""

    spec: str  # for `normalisers.parse_spec`
    title: str  # for people
    robin_hood: float  # 0..1, mean over the asking halves
    change: float  # against raw; below 0 is more equal
    error: float  # standard error of the change


@dataclass(frozen=True)
class Labelled:
    """What labelled pairs say of the proposal."""

    test: PairedTest  # queries whose correct item rose or fell
    gain: float  # of R@1, in points
    n: int
    n_more: int | None  # pairs that would settle it in four cases of five; None: settled


@dataclass(frozen=True)
class Choice:
    """The verdict, and all that it rests on."""

    verdict: str  # a key of VERDICTS
    sentence: str  # the verdict for people, with its reason
    spec: str  # the normaliser to use: `proposed`, or "none"
    proposed: str  # the best of the candidates that are not raw
    strength: float  # spread of the proposed bias over that of a caption's similarities
    tried: tuple[Tried, ...]  # most equal first, raw among them
    k: int  # places of a ranking that counted
    n_splits: int
    before: hubness.Hubness  # raw, of one asking half, with its chance levels
    after: hubness.Hubness  # of the same half, after the proposal
    quality: BankQuality
    live: Tried | None = None  # the proposal on live queries
    labelled: Labelled | None = None


def candidates(std: float, n_bank: int) -> tuple[str, ...]:
    """The additive normalisers that are tried, each in a few strengths.

    Args:
        std: of the bank's similarities; inverse temperatures are multiples of 1 / std.
        n_bank: captions; as a mean over more neighbours than a quarter of half of them says
            little that the mean over all does not, such are left out.

    Returns:
        words for `normalisers.parse_spec`, "none" first.
    """
    beta = [f":beta={strength / std:.3g}" if strength != 1 else "" for strength in STRENGTHS]
    neighbours = [n for n in (8, 32, 128) if n <= max(8, n_bank // 8)]
    return (
        "none",
        *(f"inverted_softmax{each}" for each in beta),
        *(f"qbnorm{each}" for each in beta),
        "inverted_softmax:beta=20",
        "qbnorm:beta=20",
        "csls",
        *(f"nnn:alpha={a}:neighbours={n}" for a in (0.25, 0.5, 0.75, 1.0) for n in neighbours),
        *(f"dn:alpha={share}" for share in (0.25, 0.5, 0.75, 1.0)),
    )


def choose(
    bank: np.ndarray | Tiles,
    tried: Sequence[str] | None = None,
    *,
    queries: np.ndarray | Tiles | None = None,
    labelled_sims: np.ndarray | None = None,
    correct: np.ndarray | None = None,
    n_splits: int = N_SPLITS,
    seed: int = 0,
) -> Choice:
    """Choose a normaliser for a gallery by its querybank; see the top of this file for the rule.

    Args:
        bank: [n_bank, n_gallery] similarities, a matrix or tiles; of more captions than some
            thousand a sample is used, and of more items a new sample for every split.
        tried: words for `normalisers.parse_spec`, additive normalisers that need a querybank
            only; None for `candidates`.
        queries: [n_queries, n_gallery] similarities of live queries, without labels.
        labelled_sims: [n_labelled, n_gallery] similarities of queries whose answer is known, of
            which none is in the bank.
        correct: [n_labelled] column of each one's correct item.
        n_splits: random halves, 2 or more.
        seed: of the halves and samples.

    Raises:
        SettingsError: a word is unknown or names a normaliser that a bank alone does not fit.
        ValueError: a matrix is no matrix of similarities, or of another gallery.
    """
    if n_splits < 2:
        raise SettingsError(f"n_splits must be 2 or more, to see how they differ, got {n_splits}")
    if (labelled_sims is None) != (correct is None):
        raise ValueError("labelled_sims and correct go together; give both or neither")
    bank = as_tiles(bank)
    n_bank, n_gallery = bank.shape
    for name, other in (("queries", queries), ("labelled_sims", labelled_sims)):
        if other is not None and other.shape[1] != n_gallery:
            raise ValueError(
                f"{name} have {other.shape[1]} gallery items, the bank {n_gallery}; compute both "
                "on one gallery"
            )
    if n_bank < LEAST_BANK or n_gallery < LEAST_GALLERY:
        raise SettingsError(
            f"choosing needs {LEAST_BANK} bank captions and {LEAST_GALLERY} gallery items or more, "
            f"got {n_bank} and {n_gallery}; use a preset, or a larger bank"
        )
    rng = np.random.default_rng(seed)
    sample = sample_rows(bank, rng)
    specs = candidates(_scale(sample), n_bank) if tried is None else tried
    normalisers = _checked(specs)
    # A mean over 8 of 1,000 captions is what one over 800 of 100,000 is.
    share = sample.shape[0] / n_bank
    scaled = [_scaled(normaliser, share) for normaliser in normalisers]
    held_out = _HeldOut(sample, None, n_splits, rng)
    indices = held_out.robin_hood(scaled)  # [n_splits, n_candidates]
    table = [
        _tried(normaliser, indices[:, i], indices[:, 0]) for i, normaliser in enumerate(normalisers)
    ]
    raw, *others = table
    best = min(range(len(others)), key=lambda i: others[i].robin_hood) + 1
    proposed, fitted = table[best], scaled[best]
    before, after, strength = held_out.picture(fitted)
    live = None
    if queries is not None:
        asked = _HeldOut(sample, sample_rows(queries, rng), n_splits, rng)
        live_indices = asked.robin_hood([scaled[0], fitted])
        live = _tried(normalisers[best], live_indices[:, 1], live_indices[:, 0])
    labelled = None
    if labelled_sims is not None:
        bias = fit_all([normalisers[best]], bank)[0]
        labelled = judge(bias, labelled_sims, correct)
    quality = bank_quality(bank, queries, seed)
    verdict, sentence = _verdict(raw, proposed, before, quality, live, labelled)
    return Choice(
        verdict=verdict,
        sentence=sentence,
        spec=proposed.spec if verdict == "normalise" else raw.spec,
        proposed=proposed.spec,
        strength=strength,
        tried=tuple(sorted(table, key=lambda row: row.robin_hood)),
        k=held_out.k,
        n_splits=n_splits,
        before=before,
        after=after,
        quality=quality,
        live=live,
        labelled=labelled,
    )


def judge(bias: Bias, sims: np.ndarray, correct: np.ndarray) -> Labelled:
    """What queries with a known answer say of a bias, and how many more would settle it.

    Pairs needed, for a two-sided test at 5 % that finds the difference four times out of five,
    with d the share of queries that rise or fall and p the share of those that rise:

        n = ((1.96 / 2 + 0.84 sqrt(p (1 - p))) / (p - 1/2))^2 / d

    A p closer to one half than 0.05 is taken as 0.05 away: less is not worth telling.

    Args:
        bias: fitted on captions that are not among the queries.
        sims: [n, n_gallery] raw similarities.
        correct: [n] column of each query's correct item.

    Source: Connor, "Sample size for testing differences in proportions for the paired-sample
    design", Biometrics 1987.
    """
    ranks = [metrics.t2v_ranks(scores, correct) for scores in (sims, bias.apply(sims))]
    test = paired_test(*ranks, np.unique(correct, return_inverse=True)[1])
    n, moved = len(ranks[0]), max(1, test.helped + test.hurt)
    gain = 100 * float(np.mean(ranks[1] == 1) - np.mean(ranks[0] == 1))
    if test.p < 0.05:
        return Labelled(test, gain, n, None)
    away = max(0.05, abs(test.helped / moved - 0.5)) if test.helped + test.hurt else 0.05
    spread = math.sqrt(0.25 - min(away, 0.5) ** 2)
    needed = ((1.96 / 2 + 0.84 * spread) / away) ** 2 / (moved / n)
    return Labelled(test, gain, n, max(1, math.ceil(needed) - n))


def choice_lines(choice: Choice) -> list[str]:
    """The verdict, and the numbers that it rests on beside their chance levels."""
    quality, before, after = choice.quality, choice.before, choice.after
    chance = before.chance
    rows = [
        ("Robin Hood index", before.robin_hood, after.robin_hood, chance.robin_hood),
        ("Gini index", before.gini, after.gini, chance.gini),
        ("skewness", before.k_skewness, after.k_skewness, chance.k_skewness),
        ("never shown", before.antihub_share, after.antihub_share, chance.antihub_share),
        ("largest hub", before.largest_hub, after.largest_hub, chance.largest_hub),
    ]
    lines = [
        choice.sentence,
        f"One half of the bank asking, {choice.k} places of each ranking: raw, with "
        f"{choice.proposed} fitted on the other half, under chance:",
        *(f"  {name:18}{a:9.3g}{b:9.3g}{c:9.3g}" for name, a, b, c in rows),
        f"The bank ({quality.n_bank:,} looked at) sees {100 * quality.coverage:.0f} % of the "
        f"gallery first (chance {100 * quality.coverage_chance:.0f} %); its halves agree on "
        f"{100 * quality.hub_overlap:.0f} % of their top hubs (chance "
        f"{100 * quality.hub_overlap_chance:.0f} %).",
    ]
    best = choice.tried[:3]
    tried = "; ".join(f"{each.spec} {each.robin_hood:.3f} ({each.error:.3f})" for each in best)
    return [*lines, f"Most equal of {len(choice.tried)} on held-out halves (error): {tried}."]


class _HeldOut:
    """Half of a bank fits, and the other half, or half of the live queries, asks."""

    def __init__(
        self,
        bank: SimTiles | MatrixTiles,
        live: SimTiles | MatrixTiles | None,
        n_splits: int,
        rng: np.random.Generator,
    ) -> None:
        self.bank, self.asking = bank, bank if live is None else live
        n_bank, n_gallery = bank.shape
        # With more items than captions hardly any would be retrieved twice.
        n_items = min(n_gallery, MOST_ITEMS, n_bank)
        self.k = places(n_items)
        self.splits = []  # rows that fit, rows that ask, columns
        for _ in range(n_splits):
            columns = np.sort(rng.choice(n_gallery, n_items, replace=False))
            halves = np.array_split(rng.permutation(n_bank), 2)
            asking = halves[::-1]
            if live is not None:
                asking = np.array_split(rng.permutation(live.shape[0]), 2)
            most = MOST_ASKED * n_items
            self.splits += [(halves[i], asking[i][:most], columns) for i in (0, 1)]

    def robin_hood(self, normalisers: Sequence[Normaliser]) -> np.ndarray:
        """[n_splits, n_normalisers] index of the asking half, mean of both ways around."""
        indices = []
        for fitting, asking, columns in self.splits:
            biases = fit_all(normalisers, pick(self.bank, fitting, columns))
            sims = pick(self.asking, asking, columns)
            indices.append([hubness.robin_hood(self._counts(bias, sims)) for bias in biases])
        return np.array(indices).reshape(-1, 2, len(normalisers)).mean(axis=1)

    def picture(self, normaliser: Normaliser) -> tuple[hubness.Hubness, hubness.Hubness, float]:
        """Hubness of one asking half, raw and normalised, and how strong the bias is."""
        fitting, asking, columns = self.splits[0]
        bias = fit_all([normaliser], pick(self.bank, fitting, columns))[0]
        sims = pick(self.asking, asking, columns)
        before, after = (
            hubness.measure(counts, len(sims), self.k)
            for counts in (self._counts(None, sims), self._counts(bias, sims))
        )
        spread = float(sims.std(axis=1).mean())
        return before, after, float(bias.centred.std()) / spread if spread > 0 else 0.0

    def _counts(self, bias: Bias | None, sims: np.ndarray) -> np.ndarray:
        best = top_k(sims if bias is None else bias.apply(sims), self.k)
        return np.bincount(best.ravel(), minlength=sims.shape[1])


def _scale(sample: SimTiles | MatrixTiles) -> float:
    std = mean_std(sample)[1]
    return std if std > 0 else 1.0


def _checked(specs: Sequence[str]) -> list[Normaliser]:
    """Normalisers by their words, raw first; what a bank alone does not fit is refused."""
    normalisers = {spec_of(each): each for each in map(parse_spec, ("none", *specs))}
    for spec, normaliser in normalisers.items():
        if not (normaliser.additive and normaliser.needs <= {"bank"}):
            raise SettingsError(
                f"{spec} cannot be chosen from a querybank alone: it must give one number per "
                "item and need no more than the bank"
            )
    if len(normalisers) < 2:
        raise SettingsError("there is nothing to choose from; give a normaliser besides none")
    return list(normalisers.values())


def _scaled(normaliser: Normaliser, share: float) -> Normaliser:
    """As a normaliser acts on a share of the bank: over as large a part of it."""
    neighbours = getattr(normaliser, "neighbours", None)
    if neighbours is None or share == 1:
        return normaliser
    return replace(normaliser, neighbours=max(1, round(neighbours * share)))


def _tried(normaliser: Normaliser, indices: np.ndarray, raw: np.ndarray) -> Tried:
    change = indices - raw
    # Halves of one bank share their captions: their mean is not 1 / n_splits as noisy as one of
    # them. Source: Nadeau and Bengio, "Inference for the Generalization Error", 2003.
    error = math.sqrt(float(change.var(ddof=1)) * (1 / len(change) + 1))
    return Tried(
        spec=spec_of(normaliser),
        title=normaliser.title,
        robin_hood=float(indices.mean()),
        change=float(change.mean()),
        error=error,
    )


def _verdict(
    raw: Tried,
    proposed: Tried,
    before: hubness.Hubness,
    quality: BankQuality,
    live: Tried | None,
    labelled: Labelled | None,
) -> tuple[str, str]:
    """The verdict and its reason, in a sentence."""
    now, then, chance = raw.robin_hood, proposed.robin_hood, before.chance.robin_hood
    equal = (
        f"for equal exposure {100 * now:.0f} % of the shown places of held-out bank queries would "
        f"have to move, with {proposed.spec} {100 * then:.0f} % (chance {100 * chance:.0f} %)"
    )
    if quality.match_skewness < LEAST_MATCH * quality.match_skewness_error:
        verdict = "no difference"
        reason = (
            "no item fits a bank query better than others misfit it, so there is nothing that hubs "
            "could hide (an untrained model, a bank of another model, or too few queries)"
        )
    elif live is not None and live.change > ERRORS * live.error:
        verdict = "do not"
        reason = (
            f"{proposed.spec} is the best for the bank, but makes the rankings of live queries "
            "less equal, so the bank is not of their kind"
        )
    elif proposed.change < -ERRORS * proposed.error:
        verdict, reason = "normalise", equal
    else:
        verdict, reason = "no difference", f"{equal}, no change beyond noise"
    if labelled is not None:
        test = labelled.test
        counted = (
            f"of {labelled.n:,} labelled queries {test.helped:,} rose and {test.hurt:,} fell with "
            f"{proposed.spec} (p = {test.p:.2g}, R@1 {labelled.gain:+.1f})"
        )
        if labelled.n_more is None:
            verdict = "normalise" if test.helped > test.hurt else "do not"
            reason = counted
        else:
            more = f"about {labelled.n_more:,} more labelled queries would settle it"
            reason = f"{reason}; {counted}: {more}"
    done = (
        f"{VERDICTS[verdict]} with {proposed.spec}" if verdict == "normalise" else VERDICTS[verdict]
    )
    return verdict, f"{done}: {reason}."
