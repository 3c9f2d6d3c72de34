"""Prepared data sets of TFDS, with images of one size."""

import sys

import numpy as np
import pytest

from tests.support.data import check_data_set, data_config
from tests.support.tfds_data import tfds_builder
from train.base.errors import UserError
from train.data import sources


@pytest.mark.filterwarnings("default")
def test_a_prepared_tfds_data_set(tmp_path):
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.kron(
        digits.images[:100].astype(np.uint8) * 15, np.ones((1, 3, 3), np.uint8)
    )
    images = np.pad(images, [(0, 0), (2, 2), (2, 2)])
    tfds_builder(tmp_path, images, digits.target).download_and_prepare()

    config = data_config("tfds:fashion_mnist", data_dir=str(tmp_path))
    data = sources.open_source(config)
    check_data_set(data, train=80, test=20, shape=(28, 28, 1), classes=10)
    train = data.train.take(np.arange(80))
    expected = {(images[i].tobytes(), int(digits.target[i])) for i in range(80)}
    read = zip(train["image"], train["label"], strict=True)
    assert {(image.tobytes(), int(label)) for image, label in read} == expected
    np.testing.assert_array_equal(data.train.labels, train["label"])
    assert data.class_names is not None
    assert data.class_names[:2] == ("T-shirt/top", "Trouser")
    assert "tensorflow" not in sys.modules

    config.test_split = "validation"
    with pytest.raises(
        UserError, match="has no split 'validation'; it has: train, test"
    ):
        sources.open_source(config)
    config.test_split, config.num_classes = "test", 12
    with pytest.raises(UserError, match="must be 0 or 10 for tfds:fashion_mnist"):
        sources.open_source(config)


@pytest.mark.filterwarnings("default")
def test_examples_without_a_label_are_not_of_class_minus_one(tmp_path):
    images, labels = np.zeros((12, 28, 28), np.uint8), np.arange(12) % 4
    labels[10] = -1
    tfds_builder(tmp_path, images, labels, train=8).download_and_prepare()
    data = sources.open_source(
        data_config("tfds:fashion_mnist", data_dir=str(tmp_path))
    )
    with pytest.raises(
        UserError, match=r"tfds: example \d has no label; data.train_spl"
    ):
        data.test.take(np.arange(4))


def test_numbers_of_classes_are_no_names():
    import tensorflow_datasets as tfds

    from train.data.formats.tfds import _names

    assert _names(tfds.features.ClassLabel(num_classes=3)) is None
    assert _names(tfds.features.ClassLabel(names=["0", "two"])) == ("0", "two")
