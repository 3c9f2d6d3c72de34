"""How well scores tell two sets of examples apart: pure functions on scores.

In-distribution examples are the positives and should have the higher scores. Ties count
as half in the area under the ROC curve, and are decided together in the others.

References: Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and
Out-of-Distribution Examples in Neural Networks", https://arxiv.org/abs/1610.02136, 2017
(the areas); Liang et al., "Enhancing The Reliability of Out-of-distribution Image
Detection in Neural Networks", https://arxiv.org/abs/1706.02690, 2018 (the rate of false
positives).
"""

from typing import Any

import numpy as np
from scipy.stats import rankdata

TRUE_POSITIVES = 0.95  # of the in-distribution examples that are accepted
BINS = 30  # of a histogram
INSIDE = (0.005, 0.995)  # quantiles between which a histogram's bins lie


def area_under_roc(inside: np.ndarray, outside: np.ndarray) -> float:
    """The chance that a score of `inside` `[N]` is above one of `outside` `[M]`."""
    ranks = rankdata(np.concatenate([inside, outside]))[: len(inside)]
    above = ranks.sum() - len(inside) * (len(inside) + 1) / 2
    return float(above / (len(inside) * len(outside)))


def average_precision(positive: np.ndarray, negative: np.ndarray) -> float:
    """The area under the precision-recall curve, as a sum of steps.

    It depends on how many examples each side has: a score that tells nothing has the
    share of the positives.

    Args:
      positive: `[N]`, scores that should be higher.
      negative: `[M]`.
    """
    scores = np.concatenate([positive, negative])
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(order < len(positive))
    last = np.append(np.diff(scores[order]) != 0, True)  # of each group of ties
    found, taken = found[last], np.flatnonzero(last) + 1
    return float((np.diff(found, prepend=0) * found / taken).sum() / len(positive))


def false_positive_rate(inside: np.ndarray, outside: np.ndarray) -> float:
    """The share of `outside` that is accepted where 95 % of `inside` are.

    The threshold is the highest one that accepts at least `TRUE_POSITIVES`.
    """
    needed = int(np.ceil(TRUE_POSITIVES * len(inside) - 1e-9))
    threshold = np.sort(inside)[len(inside) - needed]
    return float((outside >= threshold).mean())


def histogram(inside: np.ndarray, outside: np.ndarray) -> dict[str, list[Any]]:
    """Counts of both in bins of equal width, whose edges lie within `INSIDE`.

    The first and the last bin hold what lies beyond them too.
    """
    both = np.concatenate([inside, outside])
    low, high = np.quantile(both, INSIDE)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    count = lambda scores: np.histogram(np.clip(scores, edges[0], edges[-1]), edges)[0]
    return {
        "edges": edges.tolist(),
        "in_distribution": count(inside).tolist(),
        "out_of_distribution": count(outside).tolist(),
    }


def found(inside: np.ndarray, outside: np.ndarray) -> dict[str, Any]:
    """All numbers about one score, as a record has them.

    Args:
      inside: `[N]`, the scores of in-distribution examples.
      outside: `[M]`, those of the others.
    """
    return {
        "area_under_roc": area_under_roc(inside, outside),
        "average_precision_in": average_precision(inside, outside),
        "average_precision_out": average_precision(-outside, -inside),
        "false_positive_rate_at_95": false_positive_rate(inside, outside),
        "histogram": histogram(inside, outside),
    }
