"""Accuracy of each class, and which classes are confused with which.

A record holds the few worst of both: the tables of 1,000 classes are too long for it.
Both tables follow from the labels and predictions in the record's per-example file.
"""

import numpy as np

from train.base.config import Config
from train.data.splits import DataSet
from train.evaluation.predictions import Predictions
from train.evaluation.summaries.summary import Fields

SHOWN = 5  # classes, and confusions, in a record


def accuracies(
    labels: np.ndarray, predicted: np.ndarray, num_classes: int
) -> np.ndarray:
    """`[C]` float64, the natural accuracy of each class; NaN for one without examples.

    >>> labels, predicted = np.array([0, 0, 2]), np.array([0, 1, 2])
    >>> print(accuracies(labels, predicted, 3))
    [0.5 nan 1. ]
    """
    counts = np.bincount(labels, minlength=num_classes)
    correct = np.bincount(labels[predicted == labels], minlength=num_classes)
    with np.errstate(invalid="ignore"):
        return correct / counts


def confusion(
    labels: np.ndarray, predicted: np.ndarray, num_classes: int
) -> np.ndarray:
    """`[C, C]`, the number of examples of each class (row) with each prediction.

    >>> labels, predicted = np.array([0, 0, 2]), np.array([0, 1, 2])
    >>> print(confusion(labels, predicted, 3))
    [[1 1 0]
     [0 0 0]
     [0 0 1]]
    """
    places = labels.astype(np.int64) * num_classes + predicted
    counts = np.bincount(places, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def summarize(predictions: Predictions, data: DataSet, config: Config) -> Fields:
    """The classes of the lowest accuracy, and the most frequent confusions."""
    labels, predicted = predictions.labels, predictions.predicted
    counts = np.bincount(labels, minlength=data.num_classes)
    by_class = accuracies(labels, predicted, data.num_classes)
    # Stable, so that of equal ones the first class comes first. NaN comes last.
    worst = np.argsort(by_class, kind="stable")[:SHOWN]
    return {
        "worst_classes": [
            {
                **named("class", int(label), data),
                "natural_accuracy": float(by_class[label]),
                "examples": int(counts[label]),
            }
            for label in worst
            if counts[label]
        ],
        "most_confused": [
            {
                **named("class", label, data),
                **named("predicted", other, data),
                "examples": count,
            }
            for label, other, count in _most_confused(labels, predicted)
        ],
    }


def _most_confused(
    labels: np.ndarray, predicted: np.ndarray
) -> list[tuple[int, int, int]]:
    """The most frequent wrong predictions: label, prediction, examples."""
    wrong = predicted != labels
    if not wrong.any():
        return []
    pairs, counts = np.unique(
        np.stack([labels[wrong], predicted[wrong]]), axis=1, return_counts=True
    )
    most = np.argsort(-counts, kind="stable")[:SHOWN]
    return [(int(pairs[0, i]), int(pairs[1, i]), int(counts[i])) for i in most]


def named(field: str, label: int, data: DataSet) -> Fields:
    """A class as fields of a record: its number, and its name if it has one."""
    names = data.class_names
    return (
        {field: label}
        if names is None
        else {field: label, f"{field}_name": names[label]}
    )
