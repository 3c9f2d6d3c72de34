"""Measures on predictions. A new one is a file here and a line in `MEASURES`."""

from train.base.config import Config
from train.data.splits import DataSet
from train.evaluation.measures import accuracy, by_class, by_task, shots
from train.evaluation.measures.measure import Fields, Measure
from train.evaluation.predictions import Predictions

MEASURES = (
    Measure(accuracy.measure),
    Measure(by_class.measure),
    Measure(by_task.measure, needs_logits=by_task.applies),
    Measure(shots.measure, shots.arguments),
)


def measured(predictions: Predictions, data: DataSet, config: Config) -> Fields:
    """What all measures find, as fields of a record.

    Args:
      predictions: for the evaluated part of `data`, or its first examples.
      data: with the training part, by whose class sizes accuracies are grouped.
      config: of the run or the evaluation.
    """
    found: Fields = {}
    for measure in MEASURES:
        found |= measure.measure(predictions, data, config)
    return found


def arguments(config: Config) -> Fields:
    """What the measures depend on, besides predictions and data."""
    found: Fields = {}
    for measure in MEASURES:
        found |= measure.arguments(config)
    return found


def need_logits(config: Config) -> bool:
    """Whether a measure looks at the logits, which are kept for it alone."""
    return any(measure.needs_logits(config) for measure in MEASURES)
