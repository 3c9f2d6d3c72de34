"""Tables by class: pure functions on logits, labels and predictions.

Accuracies and confusions are those of `train.evaluation.summaries.by_class`.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from train.evaluation.measures.arrays import checked


class Falls(NamedTuple):
    """Which class the examples of each class fall to under an attack.

    Attributes:
      to: `[C]`, the wrong class that the attack makes of most of them; of equal ones
        the first; -1 where none of them falls.
      examples: `[C]`, how many of its examples that are.
      total: `[C]`, how many of its examples fall to any class.
    """

    to: np.ndarray
    examples: np.ndarray
    total: np.ndarray


def class_means(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`[C, C]`, row c: the mean predicted probabilities of the examples of class c.

    The row of a class without examples is NaN.

    Args:
      logits: `[N, C]`.
      labels: `[N]`.
    """
    logits, labels = checked(logits, labels)
    num_classes = logits.shape[1]
    sums = np.zeros((num_classes, num_classes))
    np.add.at(sums, labels, softmax(logits, axis=1))
    counts = np.bincount(labels, minlength=num_classes)
    with np.errstate(invalid="ignore"):
        return sums / counts[:, None]


def falls(
    labels: np.ndarray, natural: np.ndarray, adversarial: np.ndarray, num_classes: int
) -> Falls:
    """Of the examples that are right as they are, where the attack leads them.

    Args:
      labels: `[N]`.
      natural: `[N]`, the predictions without the attack.
      adversarial: `[N]`, those after it.
      num_classes: C.
    """
    fallen = (natural == labels) & (adversarial != labels)
    places = labels[fallen].astype(np.int64) * num_classes + adversarial[fallen]
    counts = np.bincount(places, minlength=num_classes**2)
    counts = counts.reshape(num_classes, num_classes)
    total, most = counts.sum(axis=1), counts.max(axis=1)
    return Falls(np.where(most > 0, counts.argmax(axis=1), -1), most, total)
