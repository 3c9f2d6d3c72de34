"""Measures on predictions. A new one is a file here and a line in `MEASURES`."""

from train.base.config import Config
from train.data.splits import DataSet
from train.evaluation.measures import accuracy, by_class, shots
from train.evaluation.measures.measure import Fields, Measure
from train.evaluation.predictions import Predictions

MEASURES: tuple[Measure, ...] = (accuracy.measure, by_class.measure, shots.measure)


def measured(predictions: Predictions, data: DataSet, config: Config) -> Fields:
    """What all measures find, as fields of a record.

    Args:
      predictions: for the evaluated part of `data`, or its first examples.
      data: with the training part, by whose class sizes accuracies are grouped.
      config: of the run or the evaluation.
    """
    found: Fields = {}
    for measure in MEASURES:
        found |= measure(predictions, data, config)
    return found
