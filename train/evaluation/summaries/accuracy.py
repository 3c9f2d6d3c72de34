"""Accuracy on the examples as they are."""

from train.base.config import Config
from train.data.splits import DataSet
from train.evaluation.predictions import Predictions
from train.evaluation.summaries.summary import Fields


def summarize(predictions: Predictions, data: DataSet, config: Config) -> Fields:
    return {"natural_accuracy": predictions.natural_accuracy}
