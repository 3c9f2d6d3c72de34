"""Differences between two groups of runs, seed by seed, and how sure they are.

With few seeds, the two tests fail in opposite ways. Student's t test assumes that the
differences are normally distributed, which three numbers cannot show. The sign-flip
test assumes only that, if nothing differs, each difference is as likely to be negative
as positive; but n pairs have 2^n patterns of signs, so its p is never below 2 / 2^n.

Reference:
  Fisher, "The Design of Experiments", 1935, section 21: the test by flipping signs.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
MOST_EXACT = 16  # pairs whose 2^n patterns of signs are all looked at
DRAWN = 100_000  # patterns of more pairs
TOLERANCE = 1e-9  # of two means that count as equal, relative to the largest


class Summary(NamedTuple):
    """Several numbers in short.

    Attributes:
      size: how many numbers.
      mean: of them.
      deviation: standard deviation, with size - 1 in its denominator; None: of one.
    """

    size: int
    mean: float
    deviation: float | None


class Difference(NamedTuple):
    """What one group has more than another, over the seeds that both have.

    Attributes:
      pairs: number of these seeds.
      mean: of the differences.
      low, high: the t interval that holds the expected difference with confidence 95 %;
        None: of one pair.
      p_sign_flip: two-sided p of the sign-flip test; None: of one pair.
      least_p: the smallest p that this test can have with so many pairs.
      p_t: two-sided p of Student's paired t test; None: of one pair.
    """

    pairs: int
    mean: float
    low: float | None
    high: float | None
    p_sign_flip: float | None
    least_p: float | None
    p_t: float | None


def summary(values: Sequence[float]) -> Summary:
    """Mean and deviation.

    >>> summary([1.0, 2.0, 3.0])
    Summary(size=3, mean=2.0, deviation=1.0)
    """
    array = np.asarray(values, float)
    deviation = float(array.std(ddof=1)) if len(array) > 1 else None
    return Summary(len(array), float(array.mean()), deviation)


def paired(ours: Mapping[Any, float], theirs: Mapping[Any, float]) -> Difference | None:
    """The difference of two groups over their common seeds; None: there is none.

    Args:
      ours: the numbers of a group, by seed.
      theirs: those of the baseline.
    """
    seeds = [seed for seed in ours if seed in theirs]
    if not seeds:
        return None
    values = np.array([ours[seed] - theirs[seed] for seed in seeds])
    count, mean = len(values), float(values.mean())
    if count == 1:
        return Difference(1, mean, None, None, None, None, None)
    error = float(values.std(ddof=1)) / math.sqrt(count)
    half = error * float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
    return Difference(
        count, mean, mean - half, mean + half, sign_flip(values), 2 / 2**count,
        _p_t(mean, error, count),
    )  # fmt: skip


def sign_flip(values: np.ndarray) -> float:
    """Two-sided p of differences [pairs]: the share of sign patterns as far from zero.

    All patterns are looked at; of more than 16 pairs, 100,000 drawn ones.

    >>> sign_flip(np.array([1.0, 2.0, 3.0]))
    0.25
    """
    count = len(values)
    if count <= MOST_EXACT:
        numbers = np.arange(2**count)[:, None]
        signs = 1 - 2 * (numbers >> np.arange(count) & 1)
        extra = 0
    else:
        signs = np.random.default_rng(0).choice((-1, 1), (DRAWN, count))
        extra = 1  # the pattern that was observed
    sums = np.abs((signs * values).sum(axis=1))
    slack = TOLERANCE * np.abs(values).sum()
    as_far = int((sums >= abs(values.sum()) - slack).sum())
    return (as_far + extra) / (len(signs) + extra)


def _p_t(mean: float, error: float, count: int) -> float:
    """Of equal differences: 1 if they are zero, else 0."""
    if error == 0.0:
        return 1.0 if mean == 0.0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / error, count - 1))
