"""Several seeds together: means, sample deviations, one test over videos."""

import json

import numpy as np
import pytest

from retrieval.errors import SettingsError
from retrieval.evaluation import evaluate_matrices
from retrieval.reports.seeds import over_seeds
from retrieval.statistics import paired_test


def reports_of(rng, n_seeds=3):
    items = rng.standard_normal((30, 6))
    out = []
    for _ in range(n_seeds):
        queries = np.repeat(items, 2, axis=0) + rng.standard_normal((60, 6))
        bank = rng.standard_normal((200, 6))
        out.append(
            evaluate_matrices(queries @ items.T, bank @ items.T, normalisers=("csls", "qbnorm"))
        )
    return out


def test_means_and_sample_deviations_over_seeds(rng):
    reports = reports_of(rng)
    whole = over_seeds(["0", "1", "2"], reports)
    for row in whole.rows:
        for name in ("R@1", "R@5", "R@10", "R@50", "MdR", "MnR", "Geom"):
            values = [report[row.spec].metrics[name] for report in reports]
            assert row.metrics[name] == pytest.approx(np.mean(values))
            assert row.std[name] == pytest.approx(np.std(values, ddof=1))
        skews = [report[row.spec].hubness[10].k_skewness for report in reports]
        assert row.hubness[10]["k_skewness"] == pytest.approx(np.mean(skews))
    saved = json.loads(json.dumps(whole.to_dict(), allow_nan=False))
    assert saved["metrics"]["csls"] == whole.rows[1].metrics
    assert saved["std"]["csls"] == whole.rows[1].std and len(saved["reports"]) == 3


def test_a_video_of_all_seeds_is_one_unit_of_the_test(rng):
    one = reports_of(rng, 1)[0]
    thrice = over_seeds(["a", "b", "c"], [one, one, one])  # no more evidence than one
    for row, alone in zip(thrice.rows, one.rows, strict=True):
        assert row.paired.helped == 3 * alone.helped
        assert row.paired.p == pytest.approx(alone.paired.p, abs=1e-9)
    before = np.concatenate([one["none"].ranks] * 3)
    after = np.concatenate([one["csls"].ranks] * 3)
    assert thrice.rows[1].paired == paired_test(before, after, np.tile(one.unit, 3))
    single = over_seeds(["a"], [one]).rows[1]
    assert single.metrics == one["csls"].metrics and set(single.std.values()) == {0.0}


def test_seeds_of_other_queries_are_refused(rng):
    one, two = reports_of(rng, 2)
    other = evaluate_matrices(rng.standard_normal((30, 30)), rng.standard_normal((9, 30)))
    with pytest.raises(SettingsError, match="seed b has other queries or normalisers than seed a"):
        over_seeds(["a", "b"], [one, other])
