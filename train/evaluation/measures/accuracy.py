"""Accuracy on the examples as they are."""

from train.base.config import Config
from train.data.splits import DataSet
from train.evaluation.measures.measure import Fields
from train.evaluation.predictions import Predictions


def measure(predictions: Predictions, data: DataSet, config: Config) -> Fields:
    return {"natural_accuracy": predictions.natural_accuracy}
