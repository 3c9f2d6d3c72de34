"""Sections of configs that name data, and checks of the data sets that they open."""

import numpy as np
from ml_collections import ConfigDict

from configs import base


def data_config(source, **changed) -> ConfigDict:
    config = base.get_config().data
    config.update(dict(source=source, **changed))
    return config


def check_data_set(data, *, train, test, shape, classes):
    assert (len(data.train), len(data.test)) == (train, test)
    assert data.image_shape == shape
    assert data.num_classes == classes
    batch = data.train.take(np.array([3, 0, 3]))
    assert batch["image"].shape == (3, *shape)
    assert batch["image"].dtype == np.uint8
    assert batch["label"].dtype == np.int32
    np.testing.assert_array_equal(batch["image"][0], batch["image"][2])
    assert not np.array_equal(batch["image"][0], batch["image"][1])


def truncate(path):
    path.write_bytes(path.read_bytes()[:-7])
