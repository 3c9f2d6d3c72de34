"""Numbers that describe values of examples: mean, median, quantiles, histogram.

An infinite value stands for one that is not known, such as the distance of an example
for which no adversarial example was found. It is counted, and in no other number.
"""

from typing import Any

import numpy as np

Fields = dict[str, Any]

QUANTILES = {"q05": 0.05, "q25": 0.25, "q75": 0.75, "q95": 0.95}
BINS = 40  # of a histogram
EQUAL = 1e-9  # relative to their size, values that differ by less are equal


def described(values: np.ndarray) -> Fields:
    """Mean, median and quantiles.

    Args:
      values: `[N]`.

    Returns:
      `examples` and `unknown` (both counts), and, unless all are unknown, `mean`,
      `median` and a quantile each of `q05`, `q25`, `q75` and `q95`.

    >>> described(np.array([1.0, 2.0, 6.0, np.inf]))["mean"]
    3.0
    """
    known = values[np.isfinite(values)].astype(np.float64)
    found: Fields = {"examples": len(values), "unknown": len(values) - len(known)}
    if len(known):
        found |= {"mean": float(known.mean()), "median": float(np.median(known))}
        levels = np.quantile(known, [*QUANTILES.values()])
        found |= dict(zip(QUANTILES, map(float, levels), strict=True))
    return found


def histograms(**groups: np.ndarray) -> Fields:
    """Counts of several groups of values in the same bins.

    Args:
      groups: `[N]` each, by name.

    Returns:
      `edges`, the `BINS + 1` bounds of equal bins from the smallest value of all groups
      to the largest, and for each group the `BINS` counts. Empty: no value is known.
    """
    known = {name: values[np.isfinite(values)] for name, values in groups.items()}
    whole = np.concatenate([*known.values()]).astype(np.float64)
    if not len(whole):
        return {}
    edges = _edges(float(whole.min()), float(whole.max()))
    counts = {name: np.histogram(v, edges)[0].tolist() for name, v in known.items()}
    return {"edges": edges.tolist(), **counts}


def _edges(low: float, high: float) -> np.ndarray:
    if high - low <= EQUAL * max(abs(low), abs(high), 1.0):  # too narrow for bins
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)
