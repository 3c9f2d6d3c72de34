"""AutoAugment, RandAugment and what applies their steps."""

import re

import numpy as np
import pytest

from tests.conftest import GOLDEN
from tests.train.data.augment.test_image_ops import pixels
from train.base.errors import UserError
from train.data.augment import auto_augment, image_ops, magnitudes, policy, rand_augment

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
FACTORS = {"Brightness", "Color", "Contrast", "Sharpness"}
SIGNED = FACTORS | {"ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"}
LIKELY = 60  # chi-square of up to 24 degrees of freedom: below, but for 1 in 10^4


def table():
    rows = {}
    step = r"\((\w+),([\d.]+),(\d)\)"
    for row in re.findall(rf"(\d+) {step} {step}", TABLE):
        first, second = row[1:4], row[4:]
        rows[int(row[0])] = tuple(
            (name, float(share), int(place)) for name, share, place in (first, second)
        )
    return [rows[number] for number in range(25)]


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


def test_the_sub_policies_are_the_papers():
    assert sorted(auto_augment.CIFAR10) == sorted(table())


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


DRAWS = {
    "auto_augment": auto_augment.random_steps,
    "rand_augment": rand_augment.random_steps,
    "fixmatch": rand_augment.random_fixmatch_steps,
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("channels", [1, 3])
def test_rows_of_a_batch_are_what_they_are_in_the_whole(draw, channels):
    batch = images(40, channels)
    steps = draw(40, np.random.default_rng(7))
    np.testing.assert_array_equal(steps, draw(40, np.random.default_rng(7)))
    assert (steps != draw(40, np.random.default_rng(8))).any()
    before = batch.copy()
    whole = policy.transform(batch, steps)
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(batch, before)
    assert (whole != batch).any()
    for mine in (np.arange(13), np.array([39, 2, 17]), np.array([], int)):
        np.testing.assert_array_equal(
            policy.transform(batch[mine], steps[mine]), whole[mine]
        )


def test_steps_are_taken_in_order():
    image = images(1)
    twice = policy.transform(image, steps_of(("Solarize", 100), ("Posterize", 2)))
    solarized = np.where(image < 100, image, 255 - image)
    np.testing.assert_array_equal(twice, solarized // 64 * 64)


def test_what_comes_in_is_the_fill():
    image = images(1)
    shift = steps_of(("TranslateX", 0.25))
    assert (policy.transform(image, shift)[:, :, :3] == 0).all()
    assert (policy.transform(image, shift, fill=128)[:, :, :3] == 128).all()


@pytest.mark.parametrize(
    "batch",
    [
        images(2).astype(np.float32),
        images(2)[..., 0],
        images(2)[:, 0],
        images(2)[..., :2],
        np.zeros((2, 4, 4, 4), np.uint8),
        np.zeros((2, 0, 4, 3), np.uint8),
        np.zeros((2, 4, 4, 3), np.int8),
    ],
    ids=[
        "float",
        "no channels",
        "no height",
        "2 channels",
        "4 channels",
        "no rows",
        "int8",
    ],
)
def test_images_that_no_policy_transforms(batch):
    steps = auto_augment.random_steps(2, np.random.default_rng(0))
    with pytest.raises(UserError, match=r"uint8 images \[B, H, W, K\] of K = 1 or 3"):
        policy.transform(batch, steps)
    with pytest.raises(UserError, match=re.escape(f"{batch.dtype}")):
        policy.check(batch)


def test_steps_that_do_not_fit_the_images():
    steps = auto_augment.random_steps(3, np.random.default_rng(0))
    with pytest.raises(UserError, match=r"steps must be \[2, S\]"):
        policy.transform(images(2), steps)
    with pytest.raises(UserError, match="got float64"):
        policy.transform(images(3), np.zeros((3, 2)))
    with pytest.raises(UserError, match="steps must be"):
        policy.transform(images(3), steps[:, 0])


@pytest.mark.parametrize("fill", [-1, 256])
def test_a_fill_that_is_no_level(fill):
    with pytest.raises(UserError, match=rf"fill must lie in \[0, 255\], got {fill}"):
        policy.transform(images(1), steps_of(("Rotate", 30)), fill=fill)


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
