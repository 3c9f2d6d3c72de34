"""Images of every mode and orientation, as a viewer shows them."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.support.folders import decoded, encoded, opened, pixels, write
from train.base.errors import UserError
from train.data.formats.encoded import decoding
from train.evaluation import target

ORIENTATION = 0x0112  # a tag of EXIF
RAMP = np.linspace(0, 1, 1600).reshape(40, 40)


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def rgb(content, **options):
    return np.asarray(decoding.decode(content, **options).image)


def gradient(height=24, width=32):
    """Smooth, so that JPEG changes it little."""
    rows, columns = np.mgrid[:height, :width]
    channels = 8 * rows, 255 - 7 * columns, 3 * (rows + columns)
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP", "PPM"])
def test_grey_images_become_rgb(kind):
    grey = pixels(0, 20, 30)[..., 0]
    image = decoding.decode(encoded(grey, kind)).image
    assert image.mode == "RGB"
    assert image.size == (30, 20)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP", "TIFF"])
def test_cut_images_do_not_decode(kind):
    content = encoded(pixels(0, 60, 70), kind)
    assert decoding.decode(content).image.size == (70, 60)
    for cut in (b"", content[:10], content[: len(content) // 2]):
        with pytest.raises(decoding.Undecodable) as caught:
            decoding.decode(cut)
        assert " at 0x" not in str(caught.value)


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA"])
def test_the_pixels_are_the_files(mode):
    """Of images without transparency, exactly what Pillow alone makes of them."""
    content = saved(gradient().convert(mode), "PNG")
    np.testing.assert_array_equal(rgb(content), np.asarray(decoded(content)))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_by_their_own_range(kind):
    """An image that uses a quarter of the range stays dark."""
    for white in (1, 0.25):
        content = encoded((65535 * white * RAMP).astype(np.uint16), kind)
        found = rgb(content)
        assert np.abs(found - 255 * white * RAMP[..., None]).max() < 0.51
        assert found.dtype == np.uint8


def test_twelve_bits_are_scaled_by_their_own_range():
    """A TIFF file of one row: 0, a third, two thirds and all of 4095."""
    tags = [
        (256, 3, 1, 4), (257, 3, 1, 1), (258, 3, 1, 12), (259, 3, 1, 1),
        (262, 3, 1, 1), (273, 4, 1, 110), (277, 3, 1, 1), (278, 3, 1, 1),
    ]  # fmt: skip
    content = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(tags))
    content += b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    content += bytes.fromhex("000555AAAFFF")
    assert rgb(content)[0, :, 0].tolist() == [0, 85, 170, 255]


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        (np.float32, r"32-bit floats \(Pillow's mode F\), of which no one knows"),
        (np.int32, r"32-bit integers \(Pillow's mode I\), of which no one knows"),
    ],
)
def test_pixels_without_a_known_range_are_refused_by_name(tmp_path, dtype, message):
    content = encoded((65535 * RAMP).astype(dtype), "TIFF")
    with pytest.raises(decoding.Undecodable, match=message):
        decoding.decode(content)
    write(tmp_path, train=1, test=1)
    (tmp_path / "train" / "n01440764" / "a.tif").write_bytes(content)
    with pytest.raises(UserError, match=f"n01440764/a.tif' cannot be .* {message}"):
        opened(tmp_path).train.take_training(np.arange(2))


@pytest.mark.parametrize(("kind", "largest"), [("JPEG", 6), ("TIFF", 0)])
def test_cmyk_has_the_colours_that_a_user_sees(kind, largest):
    content = saved(gradient().convert("CMYK"), kind)
    difference = rgb(content).astype(int) - np.asarray(gradient())
    assert np.abs(difference).max() <= largest


def see_through(mode):
    """An image whose left half is transparent: its content, and its visible colours."""
    image = gradient()
    mask = np.zeros((24, 32), np.uint8)
    mask[:, 16:] = 255
    if mode == "P":
        palette = image.quantize(15)
        places = np.asarray(palette) + 1
        hidden = Image.fromarray(np.where(mask > 0, places, 0).astype(np.uint8), "P")
        hidden.putpalette([9, 9, 9, *palette.getpalette()[:45]])
        content = saved(hidden, "PNG", transparency=0)
        shown = np.asarray(palette.convert("RGB")).copy()
    elif mode == "RGB":  # one colour counts as transparent
        array = np.asarray(image).copy()
        array[:, :16] = 1, 2, 3
        content = saved(Image.fromarray(array), "PNG", transparency=(1, 2, 3))
        shown = array
    else:
        below = image.convert(mode[:-1])
        above = below.convert(mode)
        above.putalpha(Image.fromarray(mask))
        content = saved(above, "PNG")
        shown = np.asarray(below.convert("RGB")).copy()
    shown[:, :16] = 255
    return content, shown


@pytest.mark.parametrize("mode", ["P", "RGB", "RGBA", "LA"])
def test_transparent_pixels_lie_on_white(mode):
    content, shown = see_through(mode)
    np.testing.assert_array_equal(rgb(content), shown)


def test_a_half_transparent_pixel_is_mixed_with_white():
    image = Image.new("RGBA", (1, 1), (100, 0, 255, 51))  # a fifth
    assert rgb(saved(image, "PNG"))[0, 0].tolist() == [224, 204, 255]


def rotated(orientation, kind="PNG"):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(gradient(), kind, exif=exif)


@pytest.mark.parametrize("orientation", range(9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_rotation_in_exif_is_applied_where_asked_for(orientation, kind):
    content = rotated(orientation, kind)
    turned = 2 <= orientation <= 8
    np.testing.assert_array_equal(rgb(content), np.asarray(decoded(content)))
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(rgb(content, upright=True), expected)
    assert decoding.decode(content).turned == turned
    assert (rgb(content).shape == expected.shape) == (orientation < 5)


def test_a_tiff_is_turned_by_pillow_and_not_once_more():
    content = rotated(6, "TIFF")
    expected = np.rot90(np.asarray(gradient()), -1)
    for upright in (False, True):
        np.testing.assert_array_equal(rgb(content, upright=upright), expected)


def test_damaged_exif_data_leaves_the_image_as_it_is():
    content = saved(gradient(), "PNG", exif=b"Exif\0\0no TIFF header")
    np.testing.assert_array_equal(rgb(content, upright=True), np.asarray(gradient()))


@pytest.mark.parametrize("applied", [False, True])
def test_files_with_a_rotation_are_counted(tmp_path, capsys, applied):
    write(tmp_path, train=4, test=2)
    for name in ("train/n01440764/n01440764_1", "train/n02085620/n02085620_0"):
        (tmp_path / f"{name}.JPEG").write_bytes(rotated(6, "JPEG"))
    (tmp_path / "val/n01440764/n01440764_0.JPEG").write_bytes(rotated(3, "JPEG"))
    data = opened(tmp_path, exif_rotation=applied)
    for _ in range(2):
        data.train.take_training(np.arange(12))
        data.test.take(np.arange(6))
    found = [np.flatnonzero(part.mask()).tolist() for part in data.turned]
    assert found == [[1, 4], [0]]
    assert target.exif_rotations(data) == {"exif_rotations": 3}
    lines = capsys.readouterr().err.splitlines()
    if applied:
        assert not lines
    else:
        assert len(lines) == 2  # the first file of each part
        assert all(" asks by EXIF for a rotation, which is not" in x for x in lines)


def test_images_of_one_size_may_have_it_after_the_rotation(tmp_path):
    for part in ("train", "val"):
        for name in "ab":
            (tmp_path / part / name).mkdir(parents=True)
            (tmp_path / part / name / "0.jpg").write_bytes(rotated(6, "JPEG"))
    assert opened(tmp_path, image_size=0).image_shape == (24, 32, 3)
    data = opened(tmp_path, image_size=0, exif_rotation=True)
    assert data.image_shape == (32, 24, 3)
    expected = np.rot90(np.asarray(decoded(rotated(6, "JPEG"))), -1)
    np.testing.assert_array_equal(data.train.take(np.arange(1))["image"][0], expected)
