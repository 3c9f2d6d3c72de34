"""Accuracy of the classes with many, some and few training examples.

Reference: Liu et al., "Large-Scale Long-Tailed Recognition in an Open World",
https://arxiv.org/abs/1904.05160, 2019, section 5: ImageNet-LT's three groups.
"""

from collections.abc import Sequence

import numpy as np

from train.data.splits import DataSet
from train.evaluation.predictions import Predictions

GROUPS = ("many", "medium", "few")


def accuracies(
    predictions: Predictions, data: DataSet, thresholds: Sequence[int]
) -> dict[str, float]:
    """Natural accuracy of each group, the mean over its classes.

    Args:
      predictions: on the part of `data` that is evaluated.
      data: its training part says how many examples each class has.
      thresholds: few-shot classes have fewer training examples than the first,
        many-shot classes more than the second.

    Returns:
      One number a group that has evaluated classes. Empty where all classes are of one
      group, as those of balanced data are.
    """
    counts = np.bincount(data.train.labels, minlength=data.num_classes)
    fewest, most = thresholds
    group_of = np.where(counts > most, 0, np.where(counts < fewest, 2, 1))
    if len(np.unique(group_of)) == 1:
        return {}
    evaluated = np.unique(predictions.labels)
    by_class = np.array(
        [predictions.natural[predictions.labels == label].mean() for label in evaluated]
    )
    members = {
        name: group_of[evaluated] == number for number, name in enumerate(GROUPS)
    }
    return {
        name: float(by_class[here].mean())
        for name, here in members.items()
        if here.any()
    }
