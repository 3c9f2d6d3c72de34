"""Accuracy of the classes with many, some and few training examples.

Reference: Liu et al., "Large-Scale Long-Tailed Recognition in an Open World",
https://arxiv.org/abs/1904.05160, 2019, section 5: ImageNet-LT's three groups.
"""

from collections.abc import Sequence

import numpy as np

from train.base.config import Config
from train.data.splits import DataSet
from train.evaluation.predictions import Predictions
from train.evaluation.summaries import by_class
from train.evaluation.summaries.summary import Fields

GROUPS = ("many", "medium", "few")


def summarize(predictions: Predictions, data: DataSet, config: Config) -> Fields:
    """The accuracies, for a training part that is made long-tailed or listed."""
    # For others all labels would be read, which takes long where they lie on disk.
    if not _applies(config):
        return {}
    found = accuracies(predictions, data, config.evaluation.shots)
    return {"accuracy_by_shots": found} if found else {}


def arguments(config: Config) -> Fields:
    """The thresholds, and what makes the training part long-tailed."""
    if not _applies(config):
        return {}
    return {
        "shots": list(config.evaluation.shots),
        "imbalance_ratio": config.data.imbalance_ratio,
        "train_list": config.data.train_list,
    }


def _applies(config: Config) -> bool:
    return config.data.imbalance_ratio != 1 or bool(config.data.train_list)


def accuracies(
    predictions: Predictions, data: DataSet, thresholds: Sequence[int]
) -> dict[str, float]:
    """Natural accuracy of each group, the mean over its classes.

    Args:
      predictions: for the evaluated part of `data`.
      data: its training part says how many examples each class has.
      thresholds: few-shot classes have fewer training examples than the first,
        many-shot classes more than the second.

    Returns:
      One number for each group that has evaluated classes. Empty where all classes are
      in one group, as those of balanced data are.
    """
    counts = np.bincount(data.train.labels, minlength=data.num_classes)
    fewest, most = thresholds
    group_of = np.where(counts > most, 0, np.where(counts < fewest, 2, 1))
    if len(np.unique(group_of)) == 1:
        return {}
    found = by_class.accuracies(
        predictions.labels, predictions.predicted, data.num_classes
    )
    evaluated = np.isfinite(found)
    members = {name: evaluated & (group_of == i) for i, name in enumerate(GROUPS)}
    return {
        name: float(found[here].mean()) for name, here in members.items() if here.any()
    }
