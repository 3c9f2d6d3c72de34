"""Accuracy on each task of a sequence, in the two ways that the literature has.

Class-incremental: the prediction is one of all classes seen so far. Task-incremental:
one of the classes of the example's own task, as if somebody said which task that is.

Reference: van de Ven et al., "Three types of incremental learning",
https://doi.org/10.1038/s42256-022-00568-3, 2022.
"""

import numpy as np

from train.base.config import Config
from train.data.splits import DataSet
from train.data.subsets import class_splits
from train.evaluation.predictions import Predictions
from train.evaluation.summaries.summary import Fields


def applies(config: Config) -> bool:
    """Whether the run is a task of a sequence."""
    return bool(config.continual.task)


def summarize(predictions: Predictions, data: DataSet, config: Config) -> Fields:
    """`accuracy_by_task`: for each way a list, with a number for each task so far."""
    if not applies(config):
        return {}
    splits = class_splits.splits(config.continual, data.num_classes)
    return {
        "accuracy_by_task": accuracies(predictions, splits[: config.continual.task])
    }


def accuracies(
    predictions: Predictions, splits: class_splits.Splits
) -> dict[str, list[float | None]]:
    """The accuracies of each task, None for one without examples.

    Args:
      predictions: for examples of the tasks. Without logits, the task-incremental
        accuracy is left out.
      splits: the labels of each task.
    """
    labels, logits = predictions.labels, predictions.logits
    members = [np.isin(labels, split) for split in splits]
    found = {"class_incremental": [_mean(predictions.correct, m) for m in members]}
    if logits is not None:
        right = np.zeros(len(labels), bool)
        for mine, split in zip(members, splits, strict=True):
            columns = np.asarray(split)
            right[mine] = columns[logits[mine][:, columns].argmax(1)] == labels[mine]
        found["task_incremental"] = [_mean(right, m) for m in members]
    return found


def _mean(right: np.ndarray, members: np.ndarray) -> float | None:
    return float(right[members].mean()) if members.any() else None
