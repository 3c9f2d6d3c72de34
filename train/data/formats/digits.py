"""`digits`: scikit-learn's handwritten digits, which need no download."""

import numpy as np

from train.base.config import DataConfig
from train.data.formats import in_memory
from train.data.splits import DataSet, Source

TRAINING_EXAMPLES = 1437


def open_digits(_: str, __: DataConfig) -> DataSet:
    """1,797 images of 8 x 8: 1,437 to train on and 360 to test on."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = np.rint(np.asarray(pixels) * (255 / 16)).astype(np.uint8)
    images = images.reshape(-1, 8, 8, 1)
    labels = np.asarray(labels, np.int32)
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[:TRAINING_EXAMPLES], order[TRAINING_EXAMPLES:]
    return in_memory.data_set(
        (images[train], labels[train]), (images[test], labels[test]), "digits"
    )


DIGITS_SOURCE = Source("digits", open_digits, "")
