"""The rank correlation and its permutation p against SciPy and a count by hand."""

import itertools

import numpy as np
import pytest
from scipy import stats

from train.reports import correlation


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([1.0, 2.0, 3.0], [5.0, 4.0, 9.0]),
        ([0.3, 0.1, 0.7, 0.2, 0.9], [1.0, 4.0, 2.0, 5.0, 3.0]),
        ([1.0, 1.0, 2.0, 3.0, 3.0], [2.0, 5.0, 5.0, 1.0, 9.0]),  # ties
    ],
)
def test_all_permutations_of_few_runs(x, y):
    found = correlation.rank_correlation(x, y)
    expected = stats.spearmanr(x, y).statistic
    assert found.coefficient == pytest.approx(expected)
    each = [stats.spearmanr(x, order).statistic for order in itertools.permutations(y)]
    p = np.mean(np.abs(each) >= abs(expected) - 1e-9)
    assert found.p == pytest.approx(p)
    assert found.exact


@pytest.mark.parametrize("sign", [1, -1])
def test_a_perfect_order_has_the_smallest_p(sign):
    found = correlation.rank_correlation(range(6), [sign * n**3 for n in range(6)])
    assert found.coefficient == pytest.approx(sign)
    assert found.p == pytest.approx(2 / 720)
    assert found.p == pytest.approx(found.smallest_p)
    assert f"{sign:+d}.00 over 6 runs, exact permutation p = 0.0028" in found.statement


def test_many_runs_are_permuted_at_random():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(12)
    y = x + rng.standard_normal(12)
    found = correlation.rank_correlation(list(x), list(y))
    expected = stats.spearmanr(x, y)
    assert found.coefficient == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue, abs=0.02)
    assert 0.02 < found.p < 0.3
    assert not found.exact
    assert "20,000 drawn" in found.statement
    assert correlation.rank_correlation(list(x), list(y)) == found


def test_equal_values_have_no_order():
    found = correlation.rank_correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])
    assert found.coefficient is None
    assert "not defined over 3 runs" in found.statement


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1.0, 2.0], [1.0, 2.0], "3 runs or more, got 2"),
        ([1.0, 2.0, 3.0], [1.0, 2.0], "got 3 and 2"),
    ],
)
def test_what_has_no_correlation_is_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        correlation.rank_correlation(x, y)
