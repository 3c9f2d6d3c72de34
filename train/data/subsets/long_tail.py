"""A long-tailed view of a split: class c of C keeps a share ratio^(-c / (C - 1)).

Reference: Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware
Margin Loss", https://arxiv.org/abs/1906.07413, 2019, section 4: the exponential
profile of long-tailed CIFAR.
"""

import numpy as np

from train.data.splits import Split, View, part_of


def long_tailed(split: Split, num_classes: int, ratio: float) -> View:
    """The view; which examples of a class are kept does not depend on the run's seed.

    Args:
      split: about as many examples of each class.
      num_classes: C, at least 2 where `ratio` is above 1.
      ratio: of the most to the least frequent class, >= 1.
    """
    labels = labels_of(split)
    order = np.random.default_rng(0).permutation(len(labels))
    kept = [
        order[labels[order] == label][:count]
        for label, count in enumerate(counts(len(labels), num_classes, ratio))
    ]
    return part_of(split, np.sort(np.concatenate(kept)))


def counts(size: int, num_classes: int, ratio: float) -> list[int]:
    """How many examples of each class are kept of `size` that are spread evenly."""
    profile = ratio ** (-np.arange(num_classes) / max(num_classes - 1, 1))
    # What is rounded down is at least 1, and not 0.999... for a whole number.
    return [max(int(size / num_classes * share + 1e-6), 1) for share in profile]


def labels_of(split: Split) -> np.ndarray:
    """All labels of a split, `[N]`."""
    return split.labels
