"""Accuracy by class, and the confusion, against counts by hand."""

import numpy as np

from configs import base
from train.data.splits import DataSet, InMemory
from train.evaluation.predictions import Predictions
from train.evaluation.summaries import by_class, summarized

LABELS = np.array([0, 0, 0, 0, 1, 1, 3, 3, 3])
PREDICTED = np.array([0, 0, 0, 2, 3, 3, 3, 2, 0])


def found(class_names=None):
    split = InMemory(np.zeros((9, 2, 2, 1), np.uint8), LABELS.astype(np.int32))
    data = DataSet(split, split, 4, (2, 2, 1), class_names)
    predictions = Predictions(np.arange(9), LABELS, PREDICTED)
    return summarized(predictions, data, base.get_config())


def test_tables():
    accuracies = by_class.accuracies(LABELS, PREDICTED, 4)
    np.testing.assert_array_equal(accuracies, [0.75, 0.0, np.nan, 1 / 3])
    confusion = by_class.confusion(LABELS, PREDICTED, 4)
    expected = [[3, 0, 1, 0], [0, 0, 0, 2], [0, 0, 0, 0], [1, 0, 1, 1]]
    np.testing.assert_array_equal(confusion, expected)
    right = np.diag(confusion) / np.maximum(confusion.sum(axis=1), 1)
    np.testing.assert_array_equal(right, np.nan_to_num(accuracies))


def test_a_record_has_the_worst():
    record = found()
    assert record["natural_accuracy"] == 4 / 9
    assert record["worst_classes"] == [
        {"class": 1, "natural_accuracy": 0.0, "examples": 2},
        {"class": 3, "natural_accuracy": 1 / 3, "examples": 3},
        {"class": 0, "natural_accuracy": 0.75, "examples": 4},
    ]
    assert record["most_confused"] == [
        {"class": 1, "predicted": 3, "examples": 2},
        {"class": 0, "predicted": 2, "examples": 1},
        {"class": 3, "predicted": 0, "examples": 1},
        {"class": 3, "predicted": 2, "examples": 1},
    ]
    assert "accuracy_by_shots" not in record


def test_classes_with_names():
    record = found(("cat", "dog", "fox", "owl"))
    assert record["worst_classes"][0]["class_name"] == "dog"
    assert record["most_confused"][0]["predicted_name"] == "owl"
