"""The filters, against SciPy's own and against their definitions."""

import math

import numpy as np
import pytest
from scipy import ndimage, signal

from train.data.corruptions import filters


def images(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


@pytest.mark.parametrize("sigma", [0.4, 1.0])
def test_gaussian_blurs_each_image_and_channel(sigma):
    x = images(2, 9, 11, 3)
    found = filters.gaussian(x, sigma)
    for i, k in np.ndindex(2, 3):
        expected = ndimage.gaussian_filter(x[i, ..., k], sigma, mode="nearest")
        np.testing.assert_allclose(found[i, ..., k], expected, atol=1e-6)


@pytest.mark.parametrize(("radius", "sigma", "taps"), [(1, 0.2, 3), (3.5, 0.5, 5)])
def test_disk_is_a_correlation_with_a_smoothed_disk(radius, sigma, taps):
    x = images(1, 13, 12, 1)
    offsets = np.arange(-8, 9)
    square = offsets[:, None] ** 2 + offsets**2
    inside = (square <= radius**2).astype(float)
    near = np.arange(taps) - taps // 2
    gauss = np.exp(-(near**2) / (2 * sigma**2))
    gauss = np.outer(gauss, gauss) / gauss.sum() ** 2
    kernel = signal.convolve2d(inside / inside.sum(), gauss)
    expected = ndimage.correlate(x[0, ..., 0], kernel, mode="mirror")
    found = filters.disk(x, radius, sigma, taps)
    np.testing.assert_allclose(found[0, ..., 0], expected, atol=1e-5)


@pytest.mark.parametrize("degrees", [0, 45, -135, -90])
def test_motion_draws_a_point_as_half_a_gaussian_along_a_line(degrees):
    x = np.zeros((1, 31, 31, 1), np.float32)
    x[0, 15, 15] = 1
    found = filters.motion(x, np.deg2rad([degrees]), 6, 2.0)[0, ..., 0]
    weights = np.exp(-(np.arange(13) ** 2) / 8)
    steps = (weights / weights.sum())[:9]  # the first steps on the diagonal meet
    if degrees % 90 == 0:
        down, right = -math.sin(math.radians(degrees)), -math.cos(math.radians(degrees))
        line = [found[15 + round(i * down), 15 + round(i * right)] for i in range(9)]
        np.testing.assert_allclose(line, steps, atol=1e-5)
    assert abs(found.sum() - 1) < 1e-3
    rows, columns = np.nonzero(found)
    slope = math.tan(math.radians(degrees))
    if degrees != -90:
        assert np.abs((rows - 15) - slope * (columns - 15)).max() <= 1


@pytest.mark.parametrize("factor", [1.0, 1.04, 1.25, 2.5])
@pytest.mark.parametrize("side", [32, 28])
def test_zoomed_is_scipys_linear_zoom_of_the_centre(side, factor):
    x = images(1, side, side, 2)
    part = math.ceil(side / factor)
    top = (side - part) // 2
    centre = x[0, top : top + part, top : top + part]
    expected = ndimage.zoom(centre, (factor, factor, 1), order=1)
    trim = (len(expected) - side) // 2
    expected = expected[trim : trim + side, trim : trim + side]
    np.testing.assert_allclose(filters.zoomed(x, factor)[0], expected, atol=1e-5)


@pytest.mark.parametrize(("repeated", "mode"), [(0, "mirror"), (1, "reflect")])
def test_sampled_is_scipys_linear_interpolation(repeated, mode):
    x = images(2, 7, 9, 1)
    rng = np.random.default_rng(1)
    rows, columns = rng.uniform(-9, 16, (2, 2, 5, 6))
    found = filters.sampled(x, rows, columns, repeated)
    for i in range(2):
        expected = ndimage.map_coordinates(
            x[i, ..., 0], [rows[i], columns[i]], order=1, mode=mode
        )
        np.testing.assert_allclose(found[i, ..., 0], expected, atol=1e-5)


@pytest.mark.parametrize("sigma", [1.0, 6.4])
def test_smooth_is_a_gaussian_blur_of_the_mirrored_field(sigma):
    fields = images(2, 16, 20)
    found = filters.smooth(fields, sigma)
    for field, smooth in zip(fields, found, strict=True):
        expected = ndimage.gaussian_filter(field, sigma, mode="reflect", truncate=8.0)
        np.testing.assert_allclose(smooth, expected, atol=5e-3)
        assert smooth.mean() == pytest.approx(field.mean(), abs=1e-5)
