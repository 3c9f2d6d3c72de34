"""Data sources, on real and on written files, whole and damaged."""

import gzip
import struct
import sys

import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import base
from tests.conftest import small_images, write_idx
from train.base.errors import UserError
from train.data import sources


def data_config(source, **changed) -> ConfigDict:
    config = base.get_config().data
    config.update(dict(source=source, **changed))
    return config


def check(data, *, train, test, shape, classes):
    assert (len(data.train), len(data.test)) == (train, test)
    assert data.image_shape == shape
    assert data.num_classes == classes
    batch = data.train.take(np.array([3, 0, 3]))
    assert batch["image"].shape == (3, *shape)
    assert batch["image"].dtype == np.uint8
    assert batch["label"].dtype == np.int32
    np.testing.assert_array_equal(batch["image"][0], batch["image"][2])
    assert not np.array_equal(batch["image"][0], batch["image"][1])


def test_digits_are_the_real_ones():
    data = sources.open_source(data_config("digits"))
    check(data, train=1437, test=360, shape=(8, 8, 1), classes=10)
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


@pytest.mark.parametrize("compressed", [False, True])
def test_idx_files(tmp_path, compressed):
    images, labels = write_idx(tmp_path, compressed=compressed)
    data = sources.open_source(data_config(f"idx:{tmp_path}"))
    check(data, train=96, test=32, shape=(12, 12, 1), classes=4)
    batch = data.test.take(np.arange(32))
    np.testing.assert_array_equal(batch["image"][..., 0], images[96:])
    np.testing.assert_array_equal(batch["label"], labels[96:])


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
    check(data, train=96, test=32, shape=(12, 12, 3), classes=4)


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


def tfds_builder(
    data_dir, images, labels, *, name="fashion_mnist", version="3.0.1", classes=10,
    train=80,
):  # fmt: skip
    """The stock name and features, written here without TensorFlow."""
    import tensorflow_datasets as tfds
    from PIL import Image

    stock = name
    shape = images.shape[1:] if images.ndim == 4 else (*images.shape[1:], 1)

    class Written(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = stock
        VERSION = tfds.core.Version(version)

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=shape),
                "label": tfds.features.ClassLabel(num_classes=classes),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, dl_manager):
            return {
                "train": self._examples(0, train),
                "test": self._examples(train, len(images)),
            }

        def _generate_examples(self):
            raise NotImplementedError

        def _examples(self, start, stop):
            for i in range(start, stop):
                image = Image.fromarray(images[i])
                yield i, {"image": image, "label": int(labels[i])}

    return Written(data_dir=str(data_dir), file_format="array_record")


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
    check(data, train=80, test=20, shape=(28, 28, 1), classes=10)
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


def test_numbers_of_classes_are_no_names():
    import tensorflow_datasets as tfds

    from train.data.formats.tfds import _names

    assert _names(tfds.features.ClassLabel(num_classes=3)) is None
    assert _names(tfds.features.ClassLabel(names=["0", "two"])) == ("0", "two")


def truncate(path):
    path.write_bytes(path.read_bytes()[:-7])


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


def test_validation_larger_than_the_training_part():
    with pytest.raises(UserError, match="must be below the 1437 training examples"):
        sources.open_source(data_config("digits", validation_size=1437))


def test_gzip_is_only_read_where_named(tmp_path):
    write_idx(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(UserError, match="is not an idx file of bytes"):
        sources.open_source(data_config(f"idx:{tmp_path}"))
