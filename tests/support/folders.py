"""Folders of small image files, laid out as ImageNet's are unpacked."""

import io

import numpy as np
from PIL import Image

from tests.support.data import data_config
from train.data import sources

SMALL = dict(test_split="val", image_size=32, resize_shorter=36)
CLASSES = ("n01440764", "n02085620", "n07714571")


def pixels(seed, height, width):
    """An image with edges and a little noise, so that a shifted crop is another."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    image = np.kron(blocks, np.ones((8, 8, 1)))[:height, :width]
    return (image * 0.9 + rng.integers(0, 25, image.shape)).astype(np.uint8)


def encoded(image, kind="JPEG", **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def decoded(content):
    """What the bytes show, read by Pillow alone."""
    with Image.open(io.BytesIO(content)) as image:
        return image.convert("RGB")


def size_of(seed):
    """(height, width) between 40 and 79, different for most seeds."""
    return 40 + seed * 7 % 40, 40 + seed * 13 % 40


def write(root, *, train=16, test=4, test_split="val", classes=CLASSES):
    """`train` and `test` JPEGs of different sizes in each class; returns their paths."""
    written, seed = [], 0
    for part, count in (("train", train), (test_split, test)):
        for name in classes:
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                path = folder / f"{name}_{number}.JPEG"
                path.write_bytes(encoded(pixels(seed, *size_of(seed))))
                written.append(path)
                seed += 1
    return written


def opened(root, **changed):
    """The folder as a data set of small images."""
    return sources.open_source(data_config(f"folder:{root}", **(SMALL | changed)))


def damage(folder, *files):
    """Cuts the files, so that they cannot be decoded."""
    for file in files:
        path = folder / file
        path.write_bytes(path.read_bytes()[:200])
