"""Spearman's rank correlation over few runs, with the p-value of a permutation test."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

FEWEST = 3  # runs: two are always in perfect order
MOST_EXACT = 8  # runs whose permutations, 40,320 at most, are all tried
DRAWN = 20_000  # permutations for more runs
CLOSE = 1e-9  # two coefficients that differ by less are equal


class Correlation(NamedTuple):
    """A rank correlation.

    Attributes:
      coefficient: Spearman's, in [-1, 1]; None: not defined, since all values of one
        side are equal.
      p: the share of the permutations of one side with a coefficient at least as far
        from 0 (two-sided); None: not defined.
      runs: how many values each side has.
    """

    coefficient: float | None
    p: float | None
    runs: int

    @property
    def exact(self) -> bool:
        """Whether all permutations were tried."""
        return self.runs <= MOST_EXACT

    @property
    def smallest_p(self) -> float:
        """The p-value of a perfect order of that many runs without ties."""
        return 2 / math.factorial(self.runs)

    @property
    def statement(self) -> str:
        """What the numbers say, in one sentence."""
        if self.coefficient is None or self.p is None:
            return f"not defined over {self.runs} runs: one side has equal values only"
        exact = "exact permutation" if self.exact else f"permutation ({DRAWN:,} drawn)"
        return (
            f"Spearman's {self.coefficient:+.2f} over {self.runs} runs, {exact} p = "
            f"{self.p:.2g} (two-sided; a perfect order would give "
            f"{max(self.smallest_p, 1 / (DRAWN + 1)):.2g})"
        )


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> Correlation:
    """Spearman's rank correlation of two sequences, a value each for every run.

    The permutation test takes the runs as exchangeable. Runs that differ in their seed
    alone are more alike than that, so the p-value is then too small.

    Raises:
      ValueError: lengths that differ, or fewer than three runs.

    >>> round(rank_correlation([1, 2, 3, 4], [10, 30, 20, 40]).coefficient, 6)
    0.8
    """
    if len(x) != len(y):
        raise ValueError(
            f"both sides must have a value for each run, got {len(x)} and {len(y)}"
        )
    if len(x) < FEWEST:
        raise ValueError(
            f"a rank correlation needs {FEWEST} runs or more, got {len(x)}"
        )
    left, right = _standardised(x), _standardised(y)
    if left is None or right is None:
        return Correlation(None, None, len(x))
    coefficient = float(left @ right)
    orders = _all_orders(len(x)) if len(x) <= MOST_EXACT else _drawn_orders(len(x))
    permuted = np.abs([right[order] @ left for order in orders])
    extreme = int((permuted >= abs(coefficient) - CLOSE).sum())
    if len(x) > MOST_EXACT:  # the order that was found counts as one of those drawn
        return Correlation(coefficient, (extreme + 1) / (DRAWN + 1), len(x))
    return Correlation(coefficient, extreme / len(permuted), len(x))


def _standardised(values: Sequence[float]) -> np.ndarray | None:
    """Ranks with mean 0 and length 1; None where all values are equal."""
    ranks = stats.rankdata(values)
    centred = ranks - ranks.mean()
    length = np.linalg.norm(centred)
    return centred / length if length else None


def _all_orders(count: int) -> Iterator[list[int]]:
    return map(list, itertools.permutations(range(count)))


def _drawn_orders(count: int) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(0)
    return (generator.permutation(count) for _ in range(DRAWN))
