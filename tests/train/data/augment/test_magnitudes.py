"""From a magnitude's bin to an operation's value."""

import numpy as np
import pytest

from tests.support.policies import SIGNED
from train.data.augment import image_ops, magnitudes, policy


@pytest.mark.parametrize("num_bins", [10, 31])
def test_magnitudes_are_spaced_evenly_between_their_ends(num_bins):
    last = {
        **dict.fromkeys(("ShearX", "ShearY"), (0, 0.3)),
        **dict.fromkeys(("TranslateX", "TranslateY"), (0, 150 / 331)),
        **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), (1, 1.9)),
        **dict.fromkeys(("Identity", "AutoContrast", "Equalize", "Invert"), (0, 0)),
        "Rotate": (0, 30),
        "Posterize": (8, 4),
        "Solarize": (255, 0),
    }
    assert set(last) == set(image_ops.OPERATIONS)
    bins = np.arange(num_bins)
    for name, (start, end) in last.items():
        operations = np.repeat(policy.indices([name]), num_bins)
        expected = np.linspace(start, end, num_bins)
        if name == "Posterize":
            expected = np.round(expected)
        for negative in (False, True):
            found = magnitudes.values_of(
                operations, bins, np.full(num_bins, negative), num_bins=num_bins
            )
            mirrored = 2 * start - expected if negative and name in SIGNED else expected
            np.testing.assert_allclose(found, mirrored, atol=1e-12)


def test_thresholds_that_are_whole_numbers_are_exact():
    solarize = np.repeat(policy.indices(["Solarize"]), 10)
    found = magnitudes.values_of(
        solarize, np.arange(10), np.zeros(10, bool), num_bins=10
    )
    assert found[[0, 3, 6, 9]].tolist() == [255, 170, 85, 0]
