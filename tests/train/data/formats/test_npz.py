"""Arrays in a file of NumPy, whole and damaged."""

import numpy as np
import pytest

from tests.conftest import small_images
from tests.support.data import check_data_set, data_config, truncate
from train.base.errors import UserError
from train.data import sources


def test_npz_files(tmp_path):
    images, labels = small_images(channels=3)
    path = tmp_path / "data.npz"
    np.savez(
        path,
        x_train=images[:96],
        y_train=labels[:96],
        x_test=images[96:],
        y_test=labels[96:],
    )
    data = sources.open_source(data_config(f"npz:{path}"))
    check_data_set(data, train=96, test=32, shape=(12, 12, 3), classes=4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_test": None}, "lacks x_test; it holds x_train, y_train, y_test"),
        ({"x_train": np.zeros((4, 3, 3), np.float32)}, "must be uint8"),
        ({"y_train": np.zeros(4, np.float32)}, "labels must be integers"),
        ({"y_train": np.zeros(3, int)}, "4 images but 3 labels"),
        ({"y_train": np.array([0, 1, -1, 2])}, "labels must be >= 0, got -1"),
        ({"x_test": np.zeros((4, 5, 5), np.uint8)}, "images differ in shape"),
    ],
)
def test_bad_npz(tmp_path, changed, message):
    images, labels = np.zeros((4, 3, 3), np.uint8), np.arange(4)
    arrays = (
        dict(x_train=images, y_train=labels, x_test=images, y_test=labels) | changed
    )
    path = tmp_path / "bad.npz"
    np.savez(path, **{name: a for name, a in arrays.items() if a is not None})
    with pytest.raises(UserError, match=message):
        sources.open_source(data_config(f"npz:{path}"))


def test_a_truncated_npz(tmp_path):
    path = tmp_path / "cut.npz"
    np.savez(path, x_train=np.zeros(1000))
    truncate(path)
    with pytest.raises(UserError, match="cannot be read"):
        sources.open_source(data_config(f"npz:{path}"))


def test_an_array_renamed_to_npz(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(3))
    path = (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    with pytest.raises(UserError, match="cannot be read"):
        sources.open_source(data_config(f"npz:{path}"))


def test_a_damaged_compressed_npz(tmp_path):
    path = tmp_path / "damaged.npz"
    np.savez_compressed(path, x_train=np.random.default_rng(0).random(1000))
    content = bytearray(path.read_bytes())
    content[300:340] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(UserError, match="lacks|cannot be read"):
        sources.open_source(data_config(f"npz:{path}"))
