"""AutoAugment's sub-policies, and how they are drawn."""

import re

import numpy as np
import pytest

from tests.conftest import GOLDEN
from tests.support.policies import (
    FACTORS,
    LIKELY,
    SIGNED,
    chi_square,
    images,
    name_of,
)
from train.data.augment import auto_augment, image_ops, magnitudes, policy

# The paper's table of CIFAR-10's sub-policies, written once more.
TABLE = """
  0 (Invert,0.1,7) (Contrast,0.2,6)          13 (Brightness,0.9,6) (Color,0.2,8)
  1 (Rotate,0.7,2) (TranslateX,0.3,9)        14 (Solarize,0.5,2) (Invert,0.0,3)
  2 (Sharpness,0.8,1) (Sharpness,0.9,3)      15 (Equalize,0.2,0) (AutoContrast,0.6,0)
  3 (ShearY,0.5,8) (TranslateY,0.7,9)        16 (Equalize,0.2,8) (Equalize,0.6,4)
  4 (AutoContrast,0.5,8) (Equalize,0.9,2)    17 (Color,0.9,9) (Equalize,0.6,6)
  5 (ShearY,0.2,7) (Posterize,0.3,7)         18 (AutoContrast,0.8,4) (Solarize,0.2,8)
  6 (Color,0.4,3) (Brightness,0.6,7)         19 (Brightness,0.1,3) (Color,0.7,0)
  7 (Sharpness,0.3,9) (Brightness,0.7,9)     20 (Solarize,0.4,5) (AutoContrast,0.9,3)
  8 (Equalize,0.6,5) (Equalize,0.5,1)        21 (TranslateY,0.9,9) (TranslateY,0.7,9)
  9 (Contrast,0.6,7) (Sharpness,0.6,5)       22 (AutoContrast,0.9,2) (Solarize,0.8,3)
 10 (Color,0.7,7) (TranslateX,0.5,8)         23 (Equalize,0.8,8) (Invert,0.1,3)
 11 (Equalize,0.3,7) (AutoContrast,0.4,8)    24 (TranslateY,0.7,9) (AutoContrast,0.9,1)
 12 (TranslateY,0.4,3) (Sharpness,0.2,6)
"""


def table():
    rows = {}
    step = r"\((\w+),([\d.]+),(\d)\)"
    for row in re.findall(rf"(\d+) {step} {step}", TABLE):
        first, second = row[1:4], row[4:]
        rows[int(row[0])] = tuple(
            (name, float(share), int(place)) for name, share, place in (first, second)
        )
    return [rows[number] for number in range(25)]


def test_the_sub_policies_are_the_papers():
    assert sorted(auto_augment.CIFAR10) == sorted(table())


@pytest.mark.parametrize("row", range(25))
def test_the_sub_policies_do_what_torchvisions_do(row):
    """Both steps taken, the first one's sign negative."""
    golden = np.load(GOLDEN / "image_ops.npz")
    names, shares, bins = zip(*table()[row], strict=True)
    # A step of no probability is never taken.
    operations = np.where(np.array(shares) > 0, policy.indices(names), 0)
    negative = np.array([True, False])
    values = magnitudes.values_of(operations, np.array(bins), negative, num_bins=10)
    steps = policy.steps(operations, values)[None]
    found = policy.transform(golden["rgb"][None], steps)[0].astype(int)
    # Its factors have the rounding of float32: what is cut off may be a level each.
    gap = np.abs(found - golden["auto_augment"][row])
    assert gap.max() <= sum(name in FACTORS for name in names)


def test_auto_augment_takes_its_steps_as_often_as_the_table_says():
    count = 50_000
    steps = auto_augment.random_steps(count, np.random.default_rng(0))
    assert steps.shape == (count, 2)
    for place in range(2):
        shares = dict.fromkeys(policy.NAMES, 0.0)
        for row in table():
            name, share, _ = row[place]
            shares[name] += share / 25
        shares["Identity"] = 1 - sum(shares.values())
        expected = count * np.array([shares[name] for name in policy.NAMES])
        counts = np.bincount(steps["operation"][:, place], minlength=len(expected))
        assert (counts[expected == 0] == 0).all()
        some = expected > 0
        assert chi_square(counts[some], expected[some]) < LIKELY


def test_auto_augments_values_are_those_of_the_tables_bins():
    steps = auto_augment.random_steps(20_000, np.random.default_rng(1))
    for place in range(2):
        allowed = {("Identity", 0.0)}
        for row in table():
            name, share, chosen = row[place]
            for negative in (False, True):
                value = magnitudes.values_of(
                    policy.indices([name]),
                    np.array([chosen]),
                    np.array([negative]),
                    num_bins=10,
                )
                if share:
                    allowed.add((name, float(value[0])))
        found = {(name_of(index), value) for index, value in steps[:, place].tolist()}
        assert found == allowed


def test_sub_policies_are_equally_likely_and_come_whole():
    named = tuple(
        ((name, 1.0, 0), (other, 1.0, 0))
        for name in ("Invert", "Equalize", "AutoContrast", "Identity", "Solarize")
        for other in ("Invert", "Equalize", "AutoContrast", "Identity", "Posterize")
    )[:24]
    count = 24_000
    steps = auto_augment.random_steps(count, np.random.default_rng(2), named)
    pairs, counts = np.unique(steps["operation"], axis=0, return_counts=True)
    found = {tuple(map(name_of, pair)) for pair in pairs}
    assert found == {(first[0], second[0]) for first, second in named}
    assert chi_square(counts, count / 24) < LIKELY


def test_steps_are_taken_always_or_never():
    sub_policies = ((("Rotate", 0.0, 9), ("Invert", 1.0, 0)),)
    steps = auto_augment.random_steps(5000, np.random.default_rng(3), sub_policies)
    assert (steps["operation"][:, 0] == policy.IDENTITY).all()
    assert (steps["operation"][:, 1] == policy.NAMES.index("Invert")).all()
    batch = images(5)
    np.testing.assert_array_equal(policy.transform(batch, steps[:5]), 255 - batch)


@pytest.mark.parametrize("name", sorted(image_ops.OPERATIONS))
def test_signs_are_drawn_for_signed_operations(name):
    count = 4000
    sub_policies = (((name, 1.0, 9),),)
    steps = auto_augment.random_steps(count, np.random.default_rng(4), sub_policies)
    values, counts = np.unique(steps["value"], return_counts=True)
    assert len(values) == (2 if name in SIGNED else 1)
    assert np.abs(counts / count - 1 / len(values)).max() < 0.03
