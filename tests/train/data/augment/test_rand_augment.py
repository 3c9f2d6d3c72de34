"""RandAugment's operations and values, and FixMatch's."""

import numpy as np
import pytest

from tests.support.policies import LIKELY, chi_square
from train.base.errors import UserError
from train.data.augment import policy, rand_augment


@pytest.mark.parametrize(("num_ops", "magnitude", "num_bins"), [(2, 9, 31), (3, 5, 10)])
def test_rand_augments_operations_are_equally_likely(num_ops, magnitude, num_bins):
    count = 14_000
    steps = rand_augment.random_steps(
        count,
        np.random.default_rng(5),
        num_ops=num_ops,
        magnitude=magnitude,
        num_bins=num_bins,
    )
    assert steps.shape == (count, num_ops)
    for place in range(num_ops):
        counts = np.bincount(steps["operation"][:, place], minlength=15)
        assert counts[policy.NAMES.index("Invert")] == 0
        assert chi_square(counts[:14], count / 14) < LIKELY
    # The operations of an image do not depend on each other.
    first, second = steps["operation"][:, :2].T
    pairs = np.bincount(first.astype(int) * 14 + second, minlength=196)
    assert chi_square(pairs, count / 196) < 300  # 195 degrees of freedom
    rotations = steps["value"][steps["operation"] == policy.NAMES.index("Rotate")]
    angle = 30 * magnitude / (num_bins - 1)
    np.testing.assert_allclose(np.abs(rotations), angle)
    assert abs((rotations > 0).mean() - 0.5) < 0.05


def test_fixmatchs_values_are_uniform_within_its_ranges():
    # As the paper lists them; there a threshold is a share of the levels.
    ranges = {
        **dict.fromkeys(("Identity", "AutoContrast", "Equalize"), (0, 0)),
        **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), (0.05, 0.95)),
        **dict.fromkeys(("ShearX", "ShearY", "TranslateX", "TranslateY"), (-0.3, 0.3)),
        "Rotate": (-30, 30),
        "Posterize": (4, 8),
        "Solarize": (0, 256),
    }
    count = 14_000
    steps = rand_augment.random_fixmatch_steps(
        count, np.random.default_rng(6), num_ops=3
    )
    assert steps.shape == (count, 3)
    counts = np.bincount(steps["operation"].ravel(), minlength=15)
    assert counts[policy.NAMES.index("Invert")] == 0
    assert chi_square(counts[:14], 3 * count / 14) < LIKELY
    for name, (low, high) in ranges.items():
        values = steps["value"][steps["operation"] == policy.NAMES.index(name)]
        assert low <= values.min() <= values.max() <= high
        if low < high:
            tenths = np.histogram(values, 10, (low, high))[0]
            assert chi_square(tenths, len(values) / 10) < LIKELY


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(num_ops=0), "num_ops must be at least 1, got 0"),
        (dict(magnitude=31), r"magnitude must lie in \[0, 30\], got 31"),
        (dict(magnitude=-1), r"magnitude must lie in \[0, 30\], got -1"),
        (dict(num_bins=1, magnitude=0), "num_bins must be at least 2, got 1"),
    ],
)
def test_options_that_rand_augment_does_not_have(options, message):
    with pytest.raises(UserError, match=message):
        rand_augment.random_steps(4, np.random.default_rng(0), **options)


def test_fixmatch_needs_an_operation():
    with pytest.raises(UserError, match="num_ops must be at least 1, got 0"):
        rand_augment.random_fixmatch_steps(4, np.random.default_rng(0), num_ops=0)
