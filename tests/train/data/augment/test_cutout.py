"""Cutout: which pixels are blotted out, and how often."""

import numpy as np
import pytest

from train.base.errors import UserError
from train.data.augment import boxes, cutout


def white(count, height=9, width=12, channels=3):
    return np.full((count, height, width, channels), 255, np.uint8)


def every_centre(height, width):
    """One row for each pixel as a centre."""
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    return np.stack([(y + 0.5) / height, (x + 0.5) / width], axis=1), y, x


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 9, 30])
def test_the_square_of_every_centre(length, channels):
    """Pixel by pixel, as the paper says it in words."""
    centres, y, x = every_centre(9, 12)
    found = cutout.cutout(white(len(centres), 9, 12, channels), centres, length)
    for image, row, column in zip(found, y, x, strict=True):
        expected = np.full_like(image, 255)
        for i in range(row - length // 2, row - length // 2 + length):
            for j in range(column - length // 2, column - length // 2 + length):
                if 0 <= i < 9 and 0 <= j < 12:
                    expected[i, j] = 0
        np.testing.assert_array_equal(image, expected)


def test_the_square_is_whole_within_and_a_quarter_in_the_corner():
    centres = np.array([[0.5, 0.5], [0.0, 0.0], [1 - 1e-12, 1 - 1e-12], [0.0, 0.5]])
    found = cutout.cutout(white(4, 32, 32), centres, 16)
    area = (found[..., 0] == 0).sum(axis=(1, 2))
    assert area.tolist() == [256, 64, 81, 128]


def test_centres_are_uniform_over_the_pixels():
    count, height, width = 54_000, 9, 12
    centres = cutout.random_centres(count, np.random.default_rng(0))
    found = cutout.cutout(white(count, height, width, 1), centres, 1)
    counts = (found[..., 0] == 0).sum(axis=0)
    assert counts.sum() == count
    expected = count / (height * width)
    # Of 107 degrees of freedom: below, but for 1 in 10^4.
    assert ((counts - expected) ** 2 / expected).sum() < 170


def test_the_others_are_as_they_were():
    rng = np.random.default_rng(1)
    images = rng.integers(1, 256, (50, 9, 12, 3), np.uint8)
    before = images.copy()
    centres = cutout.random_centres(50, rng)
    found = cutout.cutout(images, centres, 4, fill=0)
    np.testing.assert_array_equal(images, before)
    assert found.dtype == np.uint8
    outside = found != 0
    np.testing.assert_array_equal(found[outside], images[outside])
    # All channels together.
    assert (outside.all(axis=-1) == outside.any(axis=-1)).all()
    grey = cutout.cutout(images, centres, 4, fill=127)
    np.testing.assert_array_equal(grey, np.where(outside, images, 127))


def test_each_image_has_its_own_length():
    centres = np.full((3, 2), 0.5)
    found = cutout.cutout(white(3), centres, np.array([0, 2, 5]))
    assert (found[..., 0] == 0).sum(axis=(1, 2)).tolist() == [0, 4, 25]


def test_sides_are_uniform_shares_of_the_width():
    sides = cutout.random_sides(32_000, 0.5, np.random.default_rng(2))
    lengths = cutout.lengths(sides, 32)
    counts = np.bincount(lengths)
    assert len(counts) == 16
    assert ((counts - 2000) ** 2 / 2000).sum() < 45  # of 15 degrees of freedom
    assert (cutout.random_sides(9, 0.0, np.random.default_rng(0)) == 0).all()


def test_rows_of_a_batch_are_what_they_are_in_the_whole():
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (20, 9, 12, 3), np.uint8)
    centres = cutout.random_centres(20, np.random.default_rng(4))
    again = cutout.random_centres(20, np.random.default_rng(4))
    np.testing.assert_array_equal(centres, again)
    lengths = rng.integers(0, 9, 20)
    whole = cutout.cutout(images, centres, lengths)
    for mine in (np.arange(7), np.array([19, 0, 3]), np.array([], int)):
        np.testing.assert_array_equal(
            cutout.cutout(images[mine], centres[mine], lengths[mine]), whole[mine]
        )


def test_boxes_of_two_sides():
    edges = boxes.edges(
        np.array([[0.5, 0.5], [0.0, 0.99]]),
        np.array([4, 2]),
        np.array([6, 8]),
        shape=(8, 20),
    )
    np.testing.assert_array_equal(edges, [[2, 6, 7, 13], [0, 1, 15, 20]])


@pytest.mark.parametrize(
    ("images", "rows", "options", "message"),
    [
        (white(2), 2, dict(length=-1), "length must be >= 0, got -1"),
        (white(2), 2, dict(length=np.array([3, -2])), "length must be >= 0, got -2"),
        (white(2), 3, dict(length=2), "centres must have a row for each of the 2"),
        (white(2), 1, dict(length=2), "got 1"),
        (white(2)[..., 0], 2, dict(length=2), r"images must be \[B, H, W, K\], got"),
        (white(2), 2, dict(length=2, fill=256), r"fill must lie in \[0, 255\]"),
        (white(2), 2, dict(length=2, fill=-1), r"fill must lie in \[0, 255\], got -1"),
    ],
)
def test_bad_arguments(images, rows, options, message):
    with pytest.raises(UserError, match=message):
        cutout.cutout(images, np.zeros((rows, 2)), **options)


@pytest.mark.parametrize("largest", [-0.1, 1.1, float("nan")])
def test_sides_that_no_image_has(largest):
    with pytest.raises(UserError, match=r"largest must lie in \[0, 1\], got"):
        cutout.random_sides(4, largest, np.random.default_rng(0))
