"""What every record says of predictions. A new summary is a file and a line here."""

from train.base.config import Config
from train.data.splits import DataSet
from train.evaluation.predictions import Predictions
from train.evaluation.summaries import accuracy, by_class, by_task, shots
from train.evaluation.summaries.summary import Fields, Summary

SUMMARIES = (
    Summary(accuracy.summarize),
    Summary(by_class.summarize),
    Summary(by_task.summarize, needs_logits=by_task.applies),
    Summary(shots.summarize, shots.arguments),
)


def summarized(predictions: Predictions, data: DataSet, config: Config) -> Fields:
    """What all summaries say, as fields of a record.

    Args:
      predictions: for the evaluated part of `data`, or its first examples.
      data: with the training part, by whose class sizes accuracies are grouped.
      config: of the run or the evaluation.
    """
    found: Fields = {}
    for summary in SUMMARIES:
        found |= summary.summarize(predictions, data, config)
    return found


def arguments(config: Config) -> Fields:
    """What the summaries depend on, besides predictions and data."""
    found: Fields = {}
    for summary in SUMMARIES:
        found |= summary.arguments(config)
    return found


def need_logits(config: Config) -> bool:
    """Whether a summary looks at the logits, which are kept for it alone."""
    return any(summary.needs_logits(config) for summary in SUMMARIES)
