"""Makes a training part long-tailed: class c of C keeps a share ratio^(-c / (C - 1)).

Reference: Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware
Margin Loss", https://arxiv.org/abs/1906.07413, 2019, section 4: the exponential
profile of long-tailed CIFAR.
"""

import numpy as np

from train.data.splits import Split, View, part_of


def long_tailed(split: Split, num_classes: int, ratio: float) -> View:
    """A view of the examples that are kept, which the run's seed does not change.

    Args:
      split: with about as many examples of each class.
      num_classes: C, at least 2 where `ratio` is above 1.
      ratio: of the size of the largest class to that of the smallest, >= 1.
    """
    labels = split.labels
    order = np.random.default_rng(0).permutation(len(labels))
    kept = [
        order[labels[order] == label][:count]
        for label, count in enumerate(counts(len(labels), num_classes, ratio))
    ]
    return part_of(split, np.sort(np.concatenate(kept)))


def counts(size: int, num_classes: int, ratio: float) -> list[int]:
    """The size of each class, out of `size` examples that are spread evenly."""
    profile = ratio ** (-np.arange(num_classes) / max(num_classes - 1, 1))
    # The margin keeps a whole number from being rounded down when it is 0.999... short.
    return [max(int(size / num_classes * share + 1e-6), 1) for share in profile]
