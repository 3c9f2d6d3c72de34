"""Paired differences against scipy's, and what few seeds can say."""

import numpy as np
import pytest
from scipy import stats

from train.reports import differences

RNG = np.random.default_rng(0)


def by_seed(values):
    return dict(enumerate(values))


@pytest.mark.parametrize("pairs", [2, 3, 5, 10])
def test_interval_and_tests_are_those_of_scipy(pairs):
    ours, theirs = RNG.normal(0.5, 0.1, pairs), RNG.normal(0.45, 0.1, pairs)
    found = differences.paired(by_seed(ours), by_seed(theirs))
    expected = stats.ttest_rel(ours, theirs)
    low, high = expected.confidence_interval(0.95)
    np.testing.assert_allclose(
        (found.low, found.high, found.p_t), (low, high, expected.pvalue), rtol=1e-10
    )
    exact = stats.permutation_test(
        (ours, theirs), lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples", n_resamples=np.inf, vectorized=True,
    )  # fmt: skip
    np.testing.assert_allclose(found.p_sign_flip, exact.pvalue, rtol=1e-12)
    assert found.pairs == pairs
    assert found.least_p == 2 / 2**pairs <= found.p_sign_flip


@pytest.mark.parametrize("pairs", [3, 4, 5])
def test_the_clearest_difference_of_few_seeds_has_the_least_p(pairs):
    ours = by_seed(1.0 + 0.001 * np.arange(pairs))
    found = differences.paired(ours, dict.fromkeys(range(pairs), 0.0))
    assert found.p_sign_flip == found.least_p == 2 ** (1 - pairs)


def test_many_pairs_are_drawn_and_agree_with_the_normal_test():
    values = RNG.normal(0.3, 1.0, 40)
    expected = stats.ttest_1samp(values, 0.0).pvalue
    assert differences.sign_flip(values) == pytest.approx(expected, abs=0.01)
    assert differences.sign_flip(values + 10) == 1 / (differences.DRAWN + 1)


def test_only_seeds_of_both_count():
    found = differences.paired({0: 0.5, 1: 0.7, 2: 9.0}, {1: 0.5, 0: 0.4, 3: -9.0})
    assert found.pairs == 2
    assert found.mean == pytest.approx(0.15)
    assert differences.paired({0: 1.0}, {1: 1.0}) is None


def test_one_pair_has_no_interval_and_equal_ones_no_difference():
    alone = differences.paired({0: 0.5}, {0: 0.25})
    assert alone == (1, 0.25, None, None, None, None, None)
    same = differences.paired(by_seed([0.5, 0.7]), by_seed([0.5, 0.7]))
    assert (same.mean, same.p_sign_flip, same.p_t) == (0.0, 1.0, 1.0)


def test_the_deviation_is_that_of_a_sample():
    values = RNG.normal(size=4)
    found = differences.summary(values)
    expected = stats.describe(values)
    assert found.mean == pytest.approx(expected.mean)
    assert found.deviation == pytest.approx(expected.variance**0.5)
    assert differences.summary([0.5]) == (1, 0.5, None)
