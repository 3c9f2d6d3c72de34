"""The operations on one image, against their formulas in NumPy and against torchvision."""

import numpy as np
import pytest
from PIL import Image

from tests.conftest import GOLDEN
from train.data.augment import image_ops, magnitudes, policy

GEOMETRIC = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")


def pixels(seed, height=16, width=20, channels=3):
    """Small blocks of all levels with noise."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 230, (height // 4 + 1, width // 4 + 1, channels))
    image = np.kron(blocks, np.ones((4, 4, 1), int))[:height, :width]
    return (image + rng.integers(0, 26, image.shape)).astype(np.uint8)


def apply(name, image, value=0.0, fill=0):
    """The operation on `[H, W, K]`, as an array."""
    mode = image[..., 0] if image.shape[-1] == 1 else image
    found = image_ops.OPERATIONS[name](Image.fromarray(mode), value, fill)
    return np.asarray(found).reshape(image.shape)


def close(found, expected, levels=1.0):
    """What Pillow cuts off to whole levels is less than one level away."""
    gap = np.abs(found - np.clip(expected, 0, 255))
    assert gap.max() < levels + 1e-3


def moved(image, matrix, fill=0):
    """Each pixel from where its centre is from; exact for centres off the grid."""
    height, width, _ = image.shape
    y, x = np.mgrid[:height, :width] + 0.5
    a, b, c, d, e, f = matrix
    from_x = np.floor(a * x + b * y + c).astype(int)
    from_y = np.floor(d * x + e * y + f).astype(int)
    known = (from_x >= 0) & (from_x < width) & (from_y >= 0) & (from_y < height)
    found = image[np.clip(from_y, 0, height - 1), np.clip(from_x, 0, width - 1)]
    return np.where(known[..., None], found, fill)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fill", [0, 128])
@pytest.mark.parametrize("value", [0.3, -0.3, 0.1, 0.0])
def test_shear(value, fill, channels):
    image = pixels(0, channels=channels)
    across = moved(image, (1, value, 0, 0, 1, 0), fill)
    np.testing.assert_array_equal(apply("ShearX", image, value, fill), across)
    down = moved(image, (1, 0, 0, value, 1, 0), fill)
    np.testing.assert_array_equal(apply("ShearY", image, value, fill), down)


@pytest.mark.parametrize("fill", [0, 255])
@pytest.mark.parametrize("shift", [0, 1, 7, -3])
def test_translations_are_of_whole_pixels_to_the_right_and_down(shift, fill):
    image = pixels(1)
    height, width, _ = image.shape
    right = np.full_like(image, fill)
    down = np.full_like(image, fill)
    if shift >= 0:
        right[:, shift:] = image[:, : width - shift]
        down[shift:] = image[: height - shift]
    else:
        right[:, :shift] = image[:, -shift:]
        down[:shift] = image[-shift:]
    # Half a pixel more is cut off.
    more = shift + np.copysign(0.5, shift)
    for pixel in (shift, more):
        found = apply("TranslateX", image, pixel / width, fill)
        np.testing.assert_array_equal(found, right)
        found = apply("TranslateY", image, pixel / height, fill)
        np.testing.assert_array_equal(found, down)


def test_rotation_by_quarters_is_exact():
    image = pixels(2, 16, 16)
    for quarters in range(-3, 4):
        np.testing.assert_array_equal(
            apply("Rotate", image, 90 * quarters), np.rot90(image, quarters)
        )


@pytest.mark.parametrize("angle", [30.0, -30.0, 10 / 3])
def test_rotation_is_counter_clockwise_around_the_centre(angle):
    image = pixels(3)
    height, width, _ = image.shape
    sine, cosine = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
    x, y = width / 2, height / 2
    matrix = (
        *(cosine, -sine, x - cosine * x + sine * y),
        *(sine, cosine, y - sine * x - cosine * y),
    )
    found = apply("Rotate", image, angle, 7)
    # The other way around, or around a corner, most pixels differ.
    same = (found == moved(image, matrix, 7)).all(axis=-1)
    assert same.mean() > 0.98


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [0.0, 0.1, 0.7, 1.0, 1.3, 1.9])
def test_enhancements_lie_on_the_line_through_the_image(factor, channels):
    image = pixels(4, channels=channels).astype(np.int64)
    grey = image
    if channels == 3:  # ITU-R 601-2, as Pillow has it in whole numbers
        luma = image @ np.array([19595, 38470, 7471]) + 0x8000
        grey = np.repeat(luma[..., None] >> 16, 3, axis=-1)
    smooth = image.copy()
    weights = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]])
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(0, 1))
    inner = (windows * weights).sum(axis=(-2, -1)) / weights.sum()
    smooth[1:-1, 1:-1] = np.rint(inner)
    for name, other in {
        "Brightness": 0,
        "Color": grey,
        "Contrast": np.floor(grey.mean() + 0.5),
        "Sharpness": smooth,
    }.items():
        found = apply(name, image.astype(np.uint8), factor)
        close(found, other + factor * (image - other))


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_keeps_the_highest_bits(bits):
    image = pixels(5)
    step = 2 ** (8 - bits)
    np.testing.assert_array_equal(apply("Posterize", image, bits), image // step * step)
    # A fraction of a bit is cut off.
    np.testing.assert_array_equal(
        apply("Posterize", image, bits + 0.9), apply("Posterize", image, bits)
    )


@pytest.mark.parametrize("threshold", [0, 85, 170, 226.66666, 255, 256])
def test_solarize_inverts_from_the_threshold_on(threshold):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    expected = np.where(levels < threshold, levels, 255 - levels)
    np.testing.assert_array_equal(apply("Solarize", levels, threshold), expected)


def test_invert():
    image = pixels(6)
    np.testing.assert_array_equal(apply("Invert", image), 255 - image)


def test_auto_contrast_stretches_each_channel():
    image = pixels(7) // np.array([2, 3, 4], np.uint8) + np.array([9, 0, 99], np.uint8)
    low, high = image.min(axis=(0, 1)), image.max(axis=(0, 1))
    found = apply("AutoContrast", image)
    close(found, 255 * (image - low.astype(float)) / (high.astype(float) - low))
    np.testing.assert_array_equal(found.min(axis=(0, 1)), 0)
    assert found.max(axis=(0, 1)).min() >= 254
    # There is nothing to stretch.
    flat = np.full((4, 4, 3), 77, np.uint8)
    np.testing.assert_array_equal(apply("AutoContrast", flat), flat)


@pytest.mark.parametrize("channels", [1, 3])
def test_equalize_makes_levels_equally_frequent(channels):
    rng = np.random.default_rng(8)
    image = (rng.beta(2, 5, (64, 64, channels)) * 200 + 20).astype(np.uint8)
    found = apply("Equalize", image)
    for before, after in zip(image.T, found.T, strict=True):
        levels, counts = np.unique(before, return_counts=True)
        mapped = np.array([after[before == level].max() for level in levels])
        # One level for one, and in order.
        assert all(
            after[before == level].min() == m
            for level, m in zip(levels, mapped, strict=True)
        )
        assert (np.diff(mapped) >= 0).all()
        # A level comes to lie where its share of darker pixels says.
        darker = (np.cumsum(counts) - counts) / (before.size - counts[-1])
        # Pillow's steps are of whole pixels, so that the last one comes late.
        assert np.abs(mapped - 255 * darker).max() < 255 / (before.size // 255) + 1
    flat = np.full((4, 4, channels), 77, np.uint8)
    np.testing.assert_array_equal(apply("Equalize", flat), flat)


@pytest.mark.parametrize("name", image_ops.OPERATIONS)
def test_grey_images_are_one_channel_of_their_rgb_form(name):
    grey = pixels(9, channels=1)
    span = magnitudes.SPANS[name]
    found = apply(name, np.repeat(grey, 3, axis=-1), span.last, 50)
    np.testing.assert_array_equal(found, np.repeat(found[..., :1], 3, axis=-1))
    np.testing.assert_array_equal(found[..., :1], apply(name, grey, span.last, 50))
    changes = name not in ("Identity", "Color")  # there is no colour in it
    assert (found[..., :1] != grey).any() == changes


@pytest.mark.parametrize("name", [n for n in image_ops.OPERATIONS if n != "Invert"])
def test_only_what_comes_in_from_outside_has_the_fill(name):
    image = np.clip(pixels(10), 1, 254)
    value = magnitudes.SPANS[name].last
    black, white = apply(name, image, value, 0), apply(name, image, value, 255)
    outside = (black != white).any(axis=-1)
    assert outside.any() == (name in GEOMETRIC)
    assert (black[outside] == 0).all()
    assert (white[outside] == 255).all()


@pytest.fixture(scope="module")
def golden():
    """torchvision 0.29.1's results for its own magnitudes, with Pillow 12.3."""
    return dict(np.load(GOLDEN / "image_ops.npz"))


@pytest.mark.parametrize("kind", ["rgb", "grey"])
def test_the_operations_are_torchvisions(golden, kind):
    image, results = golden[kind], golden[f"{kind}_results"]
    assert set(golden["names"]) == set(image_ops.OPERATIONS)
    for name, value, expected in zip(
        golden["names"], golden["values"], results, strict=True
    ):
        found = apply(name, image, float(value))
        np.testing.assert_array_equal(found, expected, err_msg=f"{name} {value}")


def test_the_magnitudes_are_torchvisions(golden):
    """To the rounding of float32, in which torchvision has them."""
    operations = policy.indices(golden["names"].tolist())
    found = magnitudes.values_of(
        operations, golden["bins"], golden["negative"], num_bins=10
    )
    np.testing.assert_allclose(found, golden["values"], rtol=1e-6, atol=1e-6)
