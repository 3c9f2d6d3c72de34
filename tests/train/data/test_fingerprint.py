"""A data set's fingerprint: the same for the same data, another for any other."""

import numpy as np

from tests.conftest import small_images
from train.data import fingerprint
from train.data.splits import InMemory, part_of


def test_an_image_a_label_or_the_order_makes_another_fingerprint():
    images, labels = small_images(channels=1)
    plain = fingerprint.of_split(InMemory(images, labels))
    assert fingerprint.of_split(InMemory(images.copy(), labels.copy())) == plain
    pixel, label = images.copy(), labels.copy()
    pixel[-1, -1, -1] ^= 1
    label[-1] = (label[-1] + 1) % 4
    order = np.arange(len(labels))[::-1]
    others = [
        fingerprint.of_split(split)
        for split in (
            InMemory(pixel, labels),
            InMemory(images, label),
            InMemory(images[order], labels[order]),
            part_of(InMemory(images, labels), np.arange(len(labels) - 1)),
        )
    ]
    assert len({plain, *others}) == 5
