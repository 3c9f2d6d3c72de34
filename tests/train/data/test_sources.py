"""Data sets by name, and which of their examples are left."""

import numpy as np
import pytest

from tests.support.data import check_data_set, data_config
from train.base.errors import UserError
from train.data import sources


def test_digits_are_the_real_ones():
    data = sources.open_source(data_config("digits"))
    check_data_set(data, train=1437, test=360, shape=(8, 8, 1), classes=10)
    train, test = (
        part.take(np.arange(len(part)))["image"] for part in (data.train, data.test)
    )
    assert train.max() == 255
    assert {int(v) for v in np.unique(train)} == {
        round(i * 255 / 16) for i in range(17)
    }
    # Other than by chance (the data has a few equal images), the parts are disjoint.
    pixels = {image.tobytes() for image in train}
    assert sum(image.tobytes() in pixels for image in test) < 5


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("idx:/nowhere", "there is no folder '/nowhere'"),
        ("npz:/nowhere.npz", "there is no file '/nowhere.npz'"),
        ("digts", "unknown data.source 'digts'; did you mean 'digits'"),
        ("digits:8", "takes no argument, got '8'"),
        ("tfds:no_such_data", "there is no data set named 'no_such_data'"),
        ("tfds:Fashion Mnist", "cannot be opened"),
        ("tfds:mnist:9.9.9", "cannot be opened"),
        ("tfds:", "needs what to read"),
        ("tfds:cifar10", "not prepared under .*prepare it once, where TensorFlow is"),
    ],
)
def test_missing_sources(source, message, tmp_path):
    with pytest.raises(UserError, match=message):
        sources.open_source(data_config(source, data_dir=str(tmp_path)))


def test_a_validation_part_is_held_out():
    plain = sources.open_source(data_config("digits"))
    held = sources.open_source(
        data_config("digits", validation_size=200, evaluate_on="validation")
    )
    assert (len(held.train), len(held.test)) == (1237, 200)
    everything = plain.train.take(np.arange(1437))["image"]
    parts = [
        part.take(np.arange(len(part)))["image"] for part in (held.train, held.test)
    ]
    together = sorted(image.tobytes() for part in parts for image in part)
    assert together == sorted(image.tobytes() for image in everything)
    kept = sources.open_source(data_config("digits", validation_size=200))
    assert len(kept.test) == 360


def test_validation_larger_than_the_training_part():
    with pytest.raises(UserError, match="must be below the 1437 training examples"):
        sources.open_source(data_config("digits", validation_size=1437))


def test_arrays_have_their_size():
    with pytest.raises(UserError, match=r"those of digits are all \(8, 8, 1\)"):
        sources.open_source(data_config("digits", image_size=32))
