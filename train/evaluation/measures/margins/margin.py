"""Margins: how clearly a network prefers the label to the best of the other classes.

All are negative where an example is misclassified. They take the logits of any network.
"""

import numpy as np
from scipy import special

from train.evaluation.measures.arrays import checked


def logit_margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The label's logit minus the largest other logit.

    It grows with the norm of the logits: twice the logits, twice the margin, the same
    predictions. So between networks compare `relative_margins` too.

    Args:
      logits: `[N, C]` of two or more classes.
      labels: `[N]` integers in [0, C).

    Returns:
      `[N]` float64.

    Raises:
      ValueError: there are no examples or fewer than two classes, shapes do not fit, a
        logit is not finite, or a label is none of the classes.

    >>> logits = np.array([[3.0, 1.0, 2.0], [0.0, 4.0, 1.0]])
    >>> print(logit_margins(logits, np.array([0, 2])))
    [ 1. -3.]
    """
    logits, labels = _checked(logits, labels)
    rows = np.arange(len(labels))
    others = logits.copy()
    others[rows, labels] = -np.inf
    return logits[rows, labels] - others.max(axis=1)


def probability_margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The same of the softmax's probabilities: `[N]` float64 in [-1, 1]."""
    logits, labels = _checked(logits, labels)
    return logit_margins(special.softmax(logits, axis=1), labels)


def relative_margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Logit margins in standard deviations of the example's own logits.

    The deviation is over the classes. The result does not change when all logits are
    multiplied by a positive number, or when a number is added to all of them. Its
    largest value, C / sqrt(C - 1), belongs to one large logit among equal ones.

    Args:
      logits: `[N, C]` of two or more classes.
      labels: `[N]` integers in [0, C).

    Returns:
      `[N]` float64; 0 where all logits are equal.
    """
    logits, labels = _checked(logits, labels)
    deviation = logits.std(axis=1)
    margins = logit_margins(logits, labels)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(deviation > 0, margins / deviation, 0.0)


def _checked(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    logits, labels = checked(logits, labels)
    if logits.shape[1] < 2:
        raise ValueError("logits must have two classes or more, got 1")
    return logits, labels
