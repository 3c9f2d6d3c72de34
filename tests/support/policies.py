"""Images, steps and statistics for tests of augmentation policies."""

import numpy as np

from tests.train.data.augment.test_image_ops import pixels
from train.data.augment import policy

FACTORS = {"Brightness", "Color", "Contrast", "Sharpness"}

SIGNED = FACTORS | {"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"}

LIKELY = 60  # chi-square of up to 24 degrees of freedom: below, but for 1 in 10^4


def images(count, channels=3):
    return np.stack([pixels(seed, 12, 12, channels) for seed in range(count)])


def steps_of(*named):
    """`[1, S]` of given (name, value)."""
    names, values = zip(*named, strict=True)
    return policy.steps(policy.indices(names), np.array(values, float))[None]


def name_of(index):
    return policy.NAMES[index]


def chi_square(counts, expected):
    return ((counts - expected) ** 2 / expected).sum()
