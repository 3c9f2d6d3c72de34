"""What a record says of features: fields that follow from their distances."""

from typing import Any

import numpy as np

from train.evaluation.measures.features import spread
from train.evaluation.measures.features.spread import Spread

MOST_CLASSES = 20  # in a record: the least compact ones
Fields = dict[str, Any]


def found(
    labels: np.ndarray,
    natural: np.ndarray,
    adversarial: np.ndarray | None,
    names: tuple[str, ...] | None,
    num_classes: int,
) -> Fields:
    """Distances within classes and between them, and how far the attack moves features.

    Args:
      labels: `[N]`.
      natural: `[N, F]`, the features of the images as they are.
      adversarial: `[N, F]`, those after the attack; None: no attack was made.
      names: of the classes, or None.
      num_classes: C.
    """
    first = spread.spread(natural, labels, num_classes)
    columns = {"within": first.within_by_class}
    result: Fields = {"features": natural.shape[1], "natural": _fields(first)}
    if adversarial is not None:
        after = spread.spread(adversarial, labels, num_classes)
        means = spread.class_means(natural, labels, num_classes)
        moved = spread.moved(natural, adversarial)
        mean = float(moved.mean())
        result |= {
            "adversarial": _fields(after),
            "moved": {"mean": mean, "median": float(np.median(moved))},
            "moved_relative": _number(
                mean / first.between if first.between else np.nan
            ),
            "nearest_natural_mean": spread.spread(
                adversarial, labels, num_classes, means
            ).nearest,
        }
        counts = np.maximum(np.bincount(labels, minlength=num_classes), 1)
        columns["within_adversarial"] = after.within_by_class
        columns["moved"] = np.bincount(labels, moved, minlength=num_classes) / counts
    return result | {"by_class": _by_class(labels, columns, names)}


def _fields(found: Spread) -> Fields:
    return {
        "within": found.within,
        "between": _number(found.between),
        "ratio": _number(found.ratio),
        "nearest_mean": found.nearest,
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _by_class(
    labels: np.ndarray, columns: dict[str, np.ndarray], names: tuple[str, ...] | None
) -> list[Fields]:
    """A row for each class that has examples; the least compact ones come first."""
    there = np.unique(labels)
    order = there[np.argsort(-columns["within"][there], kind="stable")]
    return [
        {
            "class": int(label),
            **({} if names is None else {"class_name": names[label]}),
            "examples": int((labels == label).sum()),
            **{name: float(column[label]) for name, column in columns.items()},
        }
        for label in order[:MOST_CLASSES]
    ]
