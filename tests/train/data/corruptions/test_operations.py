"""Each corruption against its description in the paper."""

import colorsys
import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tests.support import natural_images
from train.data.corruptions import blur, digital, noise, spatter, textures, weather
from train.data.corruptions.corrupted import CORRUPTIONS
from train.data.corruptions.corruption import generator


def generators(count=1):
    return [generator(0, i, "test", 1) for i in range(count)]


def flat(value, side=64, channels=3):
    return np.full((1, side, side, channels), value, np.float32)


def natural():
    return natural_images.crops(32, 24)[:4].astype(np.float32) / 255


def test_gaussian_noise_has_its_deviation():
    added = noise.gaussian_noise(flat(0.5), generators(), 1, 0.08) - 0.5
    assert added.std() == pytest.approx(0.08, rel=0.03)
    assert abs(added.mean()) < 0.003


def test_shot_noise_grows_with_the_root_of_brightness():
    for value in (0.2, 0.8):
        found = noise.shot_noise(flat(value), generators(), 1, 60)
        assert found.mean() == pytest.approx(value, abs=0.005)
        assert found.var() == pytest.approx(value / 60, rel=0.05)
        np.testing.assert_allclose(found * 60, np.rint(found * 60), atol=1e-4)


def test_impulse_noise_is_salt_and_pepper():
    found = noise.impulse_noise(flat(0.5), generators(), 1, 0.2)
    shares = [(found == value).mean() for value in (0, 0.5, 1)]
    np.testing.assert_allclose(shares, [0.1, 0.8, 0.1], atol=0.01)


def test_speckle_noise_grows_with_brightness():
    for value in (0.2, 0.8):
        added = noise.speckle_noise(flat(value), generators(), 1, 0.2) - value
        assert added.std() == pytest.approx(0.2 * value, rel=0.03)


BLURS = {
    "defocus_blur": (blur.defocus_blur, (3, 0.5)),
    "glass_blur": (blur.glass_blur, (0.4, 1, 2)),
    "motion_blur": (blur.motion_blur, (6, 2)),
    "zoom_blur": (blur.zoom_blur, (1.21, 0.01)),
    "gaussian_blur": (blur.gaussian_blur, (1.5,)),
    "elastic": (digital.elastic_transform, (0.1, 0.03, 0.03)),
    "pixelate": (digital.pixelate, (0.6,)),
}


@pytest.mark.parametrize("name", BLURS)
def test_blurs_keep_an_even_area_and_smooth_what_is_uneven(name):
    operation, parameters = BLURS[name]
    even = operation(flat(0.4), generators(), 1, *parameters)
    np.testing.assert_allclose(even, 0.4, atol=0.003)  # one level is 0.004
    found = operation(natural(), generators(4), 1, *parameters)
    roughness = [np.abs(np.diff(x, axis=2)).mean() for x in (found, natural())]
    if name != "glass_blur":
        assert roughness[0] < roughness[1]
    assert found.min() > -1e-4
    assert found.max() < 1 + 1e-4


@pytest.mark.parametrize(("reach", "times"), [(1, 1), (2, 1), (1, 2)])
def test_glass_takes_each_pixel_from_nearby(reach, times):
    side = 20
    ramp = np.arange(side, dtype=np.float32)
    image = np.stack(np.meshgrid(ramp, ramp, indexing="ij"), axis=-1)
    found = image.copy()
    blur._displace(found, generators()[0], reach, times)
    moved = found - image
    inner = moved[reach + 1 : side - reach + 1, reach + 1 : side - reach + 1]
    # The first pixels have come from afar: those below them were displaced before.
    assert inner.min() >= -reach * side
    assert (np.abs(inner) <= 2 * reach * times).mean() > 0.8
    assert (inner != 0).any(axis=2).mean() > 0.5
    assert not moved[:reach].any()


def test_glass_takes_the_value_of_the_other_pixel_as_it_is_then():
    """A scan from the lower right in plain Python, one pixel after another."""
    image = np.arange(7 * 9, dtype=np.float32).reshape(7, 9, 1)
    expected = image.copy()
    down, right = generators()[0].integers(-1, 1, (2, 5 * 7)).reshape(2, 5, 7)
    for i, row in enumerate(range(6, 1, -1)):
        for j, column in enumerate(range(8, 1, -1)):
            other = expected[row + down[i, j], column + right[i, j]]
            expected[row, column] = other
    blur._displace(image, generators()[0], 1, 1)
    np.testing.assert_array_equal(image, expected)


def test_zoom_blur_leaves_the_centre_sharpest():
    rng = np.random.default_rng(0)
    x = rng.random((1, 65, 65, 1), np.float32)
    found = blur.zoom_blur(x, generators(), 1, 1.3, 0.02)
    middle = slice(28, 37)
    assert found[:, middle, middle].std() > 1.5 * found[:, :9].std()


def test_snow_falls_in_white_streaks():
    x = flat(0.3)
    found = weather.snow(x, generators(), 1, 0.1, 0.3, 2, 0.5, 12, 4, 0.9)
    assert (found >= x - 1e-6).all()
    flakes = found[0, ..., 0]
    assert np.ptp(found, axis=3).max() < 1e-5  # white
    steps = [np.abs(np.diff(flakes, axis=axis)).mean() for axis in (0, 1)]
    assert steps[0] < 0.8 * steps[1]  # along the fall it changes more slowly
    upside_down = np.rot90(flakes, 2)
    np.testing.assert_allclose(flakes, upside_down, atol=1e-5)


def test_frost_adds_a_texture():
    x = natural()
    found = weather.frost(x, generators(4), 1, 0.8, 0.4)
    layer = (found - 0.8 * x) / 0.4
    assert layer.min() > -1e-5
    assert layer.max() < 1 + 1e-5
    assert layer.std(axis=(1, 2)).min() > 0.01
    assert len({image.mean().round(4) for image in layer}) == 4


def test_frost_textures_have_colour_and_contrast_of_the_photographs():
    found = textures.frost(textures.side_for(224))
    for texture, (colour, deviation) in zip(found, textures.PHOTOGRAPHS, strict=True):
        np.testing.assert_allclose(texture.mean((0, 1)), colour, atol=0.01)
        assert texture[..., 0].std() == pytest.approx(deviation, rel=0.15)
        edge = np.abs(texture[0] - texture[-1]).mean()  # periodic
        assert edge < 1.5 * np.abs(np.diff(texture, axis=0)).mean()


def test_fog_is_clouds_that_hide_contrast():
    x = natural()
    found = weather.fog(x, generators(4), 1, 1.5, 2.0)
    assert (found.std((1, 2)) < x.std((1, 2))).all()
    assert (found <= x.max((1, 2, 3), keepdims=True) + 1e-5).all()


@pytest.mark.parametrize(("side", "size"), [(28, 32), (32, 32), (33, 64)])
def test_plasma_is_a_cloud_of_all_sizes(side, size):
    found = textures.plasma(generators(2), side, 2.0)
    assert found.shape == (2, size, size)
    np.testing.assert_allclose(found.min((1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(found.max((1, 2)), 1, atol=1e-6)
    near = np.abs(found - np.roll(found, 1, 1)).mean()
    far = np.abs(found - np.roll(found, size // 2, 1)).mean()
    assert near < 0.5 * far
    rough = textures.plasma(generators(2), side, 1.2)
    assert np.abs(rough - np.roll(rough, 1, 1)).mean() > 2 * near


def hsv(pixels):
    return np.array([colorsys.rgb_to_hsv(*map(float, pixel)) for pixel in pixels])


def pixels_of(seed):
    """`[1, 8, 8, 3]`, random colours, black and grey."""
    x = np.random.default_rng(seed).random((1, 8, 8, 3), np.float32)
    x[0, 0, 0], x[0, 0, 1] = 0, 0.5
    return x


def test_brightness_adds_to_the_value_alone():
    x = pixels_of(0)
    found = weather.brightness(x, generators(), 1, 0.3)
    before, after = hsv(x.reshape(-1, 3)), hsv(found.reshape(-1, 3))
    np.testing.assert_allclose(after[:, :2], before[:, :2], atol=1e-4)
    expected = np.minimum(before[:, 2] + 0.3, 1)
    np.testing.assert_allclose(after[:, 2], expected, atol=1e-6)


@pytest.mark.parametrize(("factor", "added"), [(0.3, 0), (2.0, 0.1)])
def test_saturate_changes_the_saturation_alone(factor, added):
    x = pixels_of(1)
    found = digital.saturate(x, generators(), 1, factor, added).reshape(-1, 3)
    for pixel, changed in zip(x.reshape(-1, 3), found, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*map(float, pixel))
        expected = colorsys.hsv_to_rgb(hue, min(saturation * factor + added, 1), value)
        np.testing.assert_allclose(changed, expected, atol=1e-5)


def test_contrast_moves_values_towards_the_mean():
    x = natural()
    found = digital.contrast(x, generators(4), 1, 0.3)
    mean = x.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(found, mean + 0.3 * (x - mean), atol=1e-4)


def test_elastic_is_the_image_itself_without_displacements():
    x = natural()
    np.testing.assert_allclose(
        digital.elastic_transform(x, generators(4), 1, 0, 0, 0), x, atol=1e-6
    )


def test_elastic_moves_pixels_as_far_as_it_says():
    """On a ramp, a value says where a pixel came from."""
    ramp = np.arange(64, dtype=np.float32)[None, :, None, None] / 64
    x = np.broadcast_to(ramp, (1, 64, 64, 1)).copy()
    found = digital.elastic_transform(x, generators(), 1, 0.1, 0.01, 0)
    moved = 64 * (found - x)[0, 16:-16, 16:-16, 0]
    random = ndimage.gaussian_filter(
        np.random.default_rng(0).uniform(-1, 1, (64, 64)), 0.64, mode="reflect"
    )
    assert moved.std() == pytest.approx(6.4 * random.std(), rel=0.15)


def test_pixelate_leaves_fewer_pixels():
    x = np.random.default_rng(0).random((1, 32, 32, 1), np.float32)
    found = digital.pixelate(x, generators(), 1, 0.5)[0, ..., 0]
    np.testing.assert_allclose(found[::2, ::2], found[1::2, 1::2])
    mean = x[0, ..., 0].reshape(16, 2, 16, 2).mean((1, 3))
    np.testing.assert_allclose(found[::2, ::2], mean, atol=1.6 / 255)


def test_jpeg_is_pillows():
    x = natural()
    found = digital.jpeg_compression(x, generators(4), 1, 25)
    file = io.BytesIO()
    pixels = np.rint(x[2] * 255).astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=25)
    np.testing.assert_allclose(found[2] * 255, np.asarray(Image.open(file)), atol=1e-3)


def test_spatter_of_water_adds_light_and_mud_covers():
    x = flat(0.4)
    water, mud = (CORRUPTIONS["spatter"].large[i] for i in (1, 4))
    found = spatter.spatter(x, generators(), 1, *water)
    assert (found >= x - 1e-6).all()
    added = (found - x)[0]
    wet = added[..., 1] > 0.05
    assert 0.01 < wet.mean() < 0.6
    ratio = added[wet][:, 0] / added[wet][:, 1]
    np.testing.assert_allclose(ratio, 175 / 238, atol=1e-3)
    found = spatter.spatter(x, generators(), 1, *mud)
    covered = (found != x).any(axis=3)
    assert 0.02 < covered.mean() < 0.6
    darkest = found.reshape(-1, 3)[found.reshape(-1, 3).sum(1).argmin()]
    np.testing.assert_allclose(darkest * 255, [63, 42, 20], atol=12)


def test_edges_are_the_outline_of_a_drop():
    drops = np.zeros((20, 20))
    drops[5:15, 5:15] = 200
    found = spatter._edges(drops)
    _, count = ndimage.label(found, np.ones((3, 3)))
    assert count == 1
    assert not found[8:12, 8:12].any()
    assert not found[:3].any()
    assert 25 < found.sum() < 60
    faint = np.where(drops > 0, 10, 0)  # a derivative of 40, below both thresholds
    assert not spatter._edges(faint).any()


def test_levels_are_made_equally_frequent():
    levels = np.repeat([3, 5, 9, 9], 4)
    np.testing.assert_array_equal(
        spatter._equalized(levels), np.repeat([0, 85, 255, 255], 4)
    )
    assert (spatter._equalized(np.full(5, 7)) == 7).all()
