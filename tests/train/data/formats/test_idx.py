"""Files in MNIST's format, whole and damaged."""

import gzip
import struct

import numpy as np
import pytest

from tests.conftest import write_idx
from tests.support.data import check_data_set, data_config, truncate
from train.base.errors import UserError
from train.data import sources


@pytest.mark.parametrize("compressed", [False, True])
def test_idx_files(tmp_path, compressed):
    images, labels = write_idx(tmp_path, compressed=compressed)
    data = sources.open_source(data_config(f"idx:{tmp_path}"))
    check_data_set(data, train=96, test=32, shape=(12, 12, 1), classes=4)
    batch = data.test.take(np.arange(32))
    np.testing.assert_array_equal(batch["image"][..., 0], images[96:])
    np.testing.assert_array_equal(batch["label"], labels[96:])


def damage_header(path):
    path.write_bytes(b"\x01" + path.read_bytes()[1:])


IDX_DAMAGE = {
    "truncated": (
        truncate,
        "train-images-idx3-ubyte.*is truncated or damaged: 13833 bytes",
    ),
    "header": (damage_header, "is not an idx file of bytes"),
    "empty": (lambda path: path.write_bytes(b""), "is not an idx file of bytes"),
    "missing": (
        lambda path: path.unlink(),
        "holds neither train-images-idx3-ubyte nor",
    ),
    "short header": (
        lambda path: path.write_bytes(struct.pack(">HBBI", 0, 8, 3, 5)),
        "is truncated or damaged",
    ),
}


@pytest.mark.parametrize("name", IDX_DAMAGE)
def test_damaged_idx_files(tmp_path, name):
    write_idx(tmp_path)
    damage, message = IDX_DAMAGE[name]
    damage(tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(UserError, match=message):
        sources.open_source(data_config(f"idx:{tmp_path}"))


def test_a_truncated_gz(tmp_path):
    write_idx(tmp_path, compressed=True)
    truncate(tmp_path / "t10k-labels-idx1-ubyte.gz")
    with pytest.raises(UserError, match="t10k-labels-idx1-ubyte.gz' is damaged"):
        sources.open_source(data_config(f"idx:{tmp_path}"))


def test_idx_parts_that_do_not_fit(tmp_path):
    write_idx(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(
        struct.pack(">HBBI", 0, 8, 1, 3) + b"abc"
    )
    with pytest.raises(UserError, match=r"\(train\): 96 images but 3 labels"):
        sources.open_source(data_config(f"idx:{tmp_path}"))


def test_gzip_is_only_read_where_named(tmp_path):
    write_idx(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(UserError, match="is not an idx file of bytes"):
        sources.open_source(data_config(f"idx:{tmp_path}"))
