"""The two forms of an image, against torchvision's rules written out once more."""

import math

import numpy as np
import pytest
from PIL import Image

from tests.support.folders import pixels
from train.data.formats.encoded import forms

SIZES = [(375, 500), (500, 375), (300, 300), (257, 1000), (91, 64), (64, 333), (36, 36)]


def triangle(size, new):
    """`[new, size]` weights: linear, as wide as one new pixel, where shrunk."""
    scale = size / new
    support = max(scale, 1.0)
    centres = (np.arange(new) + 0.5) * scale
    distance = np.abs(np.arange(size) + 0.5 - centres[:, None]) / support
    weights = np.maximum(1 - distance, 0)
    return weights / weights.sum(axis=1, keepdims=True)


def resized(array, height, width):
    """Antialiased bilinear, rows and columns each by a matrix."""
    rows, columns = triangle(array.shape[0], height), triangle(array.shape[1], width)
    tall = np.tensordot(rows, array.astype(np.float64), 1)
    return np.einsum("xw,ywk->yxk", columns, tall, optimize=True)


def documented_size(height, width, shorter):
    """Resize: the shorter side is matched, the other int(size * long / short)."""
    if height <= width:
        return shorter, int(shorter * width / height)
    return int(shorter * height / width), shorter


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize(("shorter", "size"), [(256, 224), (36, 32), (37, 32)])
def test_the_evaluation_form(height, width, shorter, size):
    image = pixels(height + width, height, width)
    new_height, new_width = documented_size(height, width, shorter)
    top = round((new_height - size) / 2.0)
    left = round((new_width - size) / 2.0)
    form = forms.evaluation_form(
        Image.fromarray(image), resize_shorter=shorter, size=size
    )
    found = np.asarray(form)
    assert found.shape == (size, size, 3)
    assert found.dtype == np.uint8
    whole = Image.fromarray(image).resize(
        (new_width, new_height), Image.Resampling.BILINEAR
    )
    window = np.s_[top : top + size, left : left + size]
    np.testing.assert_array_equal(found, np.asarray(whole)[window])
    # Pillow rounds to bytes between the rows and the columns.
    expected = resized(image, new_height, new_width)[window]
    assert np.abs(found - expected).max() < 1.5


def test_a_given_crop_of_the_training_form():
    image = pixels(0, 80, 120)
    crop = np.zeros((forms.ATTEMPTS, 4))
    crop[0] = 0.25, 0.75, 0.5, 0.875  # area, ratio, left, top
    area = 80 * 120 * (0.08 + 0.92 * 0.25)
    ratio = math.exp(math.log(3 / 4) + 0.75 * (math.log(4 / 3) - math.log(3 / 4)))
    width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
    left = math.floor(0.5 * (120 - width + 1))
    top = math.floor(0.875 * (80 - height + 1))
    window = image[top : top + height, left : left + width]
    found = np.asarray(forms.training_form(Image.fromarray(image), crop, size=32))
    cropped = Image.fromarray(window).resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found, np.asarray(cropped))
    # The edge of the crop is its end: what lies beyond is not mixed in.
    assert np.abs(found - resized(window, 32, 32)).max() < 1.5


def boxes(count, width, height):
    crops = np.random.default_rng(0).random((count, forms.ATTEMPTS, 4))
    return np.array([forms.crop_box(crop, width, height) for crop in crops])


@pytest.mark.parametrize(
    ("width", "height"), [(500, 375), (40, 41), (600, 50), (50, 600), (3, 2), (1, 1)]
)
def test_crops_lie_within_the_image(width, height):
    left, top, right, bottom = boxes(2000, width, height).T
    assert min(left.min(), top.min()) >= 0
    assert right.max() <= width
    assert bottom.max() <= height
    assert (right > left).all()
    assert (bottom > top).all()


def test_crops_have_the_documented_areas_and_ratios():
    """In a square, where nearly all attempts fit once the area is below 3/4."""
    left, top, right, bottom = boxes(20_000, 1000, 1000).T
    width, height = right - left, bottom - top
    area, ratio = width * height / 1e6, np.log(width / height)
    assert area.min() == pytest.approx(0.08, abs=2e-3)
    # Below 3/4 every ratio fits, so areas there are uniform.
    below = area[area < 0.75]
    assert below.mean() == pytest.approx((0.08 + 0.75) / 2, abs=0.01)
    assert np.quantile(below, 0.25) == pytest.approx(0.08 + 0.67 / 4, abs=0.015)
    ratio = ratio[area < 0.75]
    limit = math.log(4 / 3)
    assert np.abs(ratio).max() == pytest.approx(limit, abs=5e-3)
    assert ratio.mean() == pytest.approx(0, abs=0.01)
    assert ratio.std() == pytest.approx(limit / math.sqrt(3), abs=0.005)
    # Positions reach both ends and are uniform between them.
    for start, free in ((left, 1000 - width), (top, 1000 - height)):
        position = start[free > 200] / free[free > 200]
        assert position.mean() == pytest.approx(0.5, abs=0.01)
        assert (position.min(), position.max()) == (0, 1)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (100, 1000, (0, 433, 100, 566)),  # height round(100 / (3/4)) = 133
        (1000, 100, (433, 0, 566, 100)),
        (100, 110, (0, 0, 100, 110)),
    ],
)
def test_the_central_box_is_taken_when_no_attempt_fits(width, height, expected):
    none_fits = np.zeros((forms.ATTEMPTS, 4))
    # The whole area, as wide or as high as is allowed.
    none_fits[:, 0] = 1 - 1e-9
    none_fits[:, 1] = 1 - 1e-9 if height >= width else 0.0
    assert forms.crop_box(none_fits, width, height) == expected
    # The last attempt is still made.
    none_fits[-1, :2] = 0, 0.5
    assert forms.crop_box(none_fits, width, height) != expected
