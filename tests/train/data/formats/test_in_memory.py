"""Arrays that are not what they seem: refused with what to do, or read as meant."""

import numpy as np
import pytest

from tests.support.data import data_config
from tests.support.parts import fails, write_part
from train.base.errors import UserError
from train.data import sources
from train.data.splits import DataSet

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
LABELS = np.arange(12) % 4


def opened(tmp_path, *, config=None, **changed) -> DataSet:
    """Four arrays, of which `changed` replaces some; `x` and `y` those of both parts."""
    for name in "xy":
        if name in changed:
            array = changed.pop(name)
            changed |= {f"{name}_train": array, f"{name}_test": array}
    arrays = dict(x_train=IMAGES, y_train=LABELS, x_test=IMAGES, y_test=LABELS)
    np.savez(tmp_path / "mine.npz", **(arrays | changed))
    path = tmp_path / "mine.npz"
    return sources.open_source(data_config(f"npz:{path}", **(config or {})))


FIRST = r"must have their channels last, .*np\.moveaxis\(x, 1, -1\)"
OTHER_IMAGES = {
    "channels first": (IMAGES.transpose(0, 3, 1, 2), FIRST),
    "small, channels first": (IMAGES[:, :4, :4].transpose(0, 3, 1, 2), FIRST),
    "grey, channels first": (IMAGES[:, None, :, :, 0], FIRST),
    "oblong, channels first": (IMAGES[:, :6].transpose(0, 3, 1, 2), FIRST),
    "many channels, first": (np.zeros((12, 13, 64, 64), np.uint8), FIRST),
    "examples last": (
        IMAGES.transpose(1, 2, 3, 0), r"looks like \[H, W, K, N\]: np.moveaxis\(x, -1, 0\)",
    ),
    "rows": (IMAGES.reshape(12, -1), r"x.reshape\(-1, H, W, K\)"),
    "in [0, 1]": (IMAGES / 255, r"float64 .* \[0, 1\]: use np.rint\(255 \* x\)"),
    "in [0, 255]": (
        IMAGES.astype(np.float32), r"float32 .* \[0, 255\]: use np.rint\(x\).astype",
    ),
    "normalised": (IMAGES / 127.5 - 1, r"\[-1, 1\]: undo the normalisation, so that"),
    "not finite": (np.where(IMAGES > 0, np.nan, 0), "some are not finite"),
    "of int64": (IMAGES.astype(np.int64), r"int64 .*use np.rint\(x\).astype\(np.uint8"),
    "of 16 bits": (
        257 * IMAGES.astype(np.uint16), r"uint16 .* if 65535 is white, use np.rint\(x / 257",
    ),
    "truth values": (IMAGES > 127, r"bool .*: 255 \* x.astype\(np.uint8\)"),
    "cut to bytes": ((IMAGES / 255).round().astype(np.uint8), "1 of 255, so the images"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_IMAGES)
def test_other_images_are_refused_with_what_to_do(tmp_path, name):
    images, message = OTHER_IMAGES[name]
    with pytest.raises(UserError, match=message):
        opened(tmp_path, x=images)


@pytest.mark.parametrize(
    "shape", [(8, 8, 3), (3, 3, 3), (2, 2, 3), (4, 5, 4), (64, 64, 13), (28, 28, 1)]
)
def test_images_with_their_channels_last_are_read_as_they_are(tmp_path, shape):
    images = np.random.default_rng(1).integers(0, 256, (12, *shape), np.uint8)
    data = opened(tmp_path, x=images)
    assert data.image_shape == shape
    np.testing.assert_array_equal(data.test.take(np.arange(12))["image"], images)


ONE_HOT = np.eye(4)[LABELS]
OTHER_LABELS = {
    "one-hot": (ONE_HOT, r"float64 \(12, 4\): if each row is one-hot, use np.argmax"),
    "one-hot of integers": (ONE_HOT.astype(int), "use np.argmax"),
    "one-hot truth values": (ONE_HOT > 0, "use np.argmax"),
    "probabilities": (0.7 * ONE_HOT + 0.1, "one class, not a row of numbers"),
    "a row": (LABELS[None], r"int64 \(1, 12\): use y.ravel\(\)"),
    "several": (np.ones((12, 4), int), "one class, not a row of numbers"),
    "names": (np.array(list("abcd"))[LABELS], r"np.unique\(y, return_inverse=True\)"),
    "whole floats": (LABELS.astype(float), r"use y.astype\(int\)"),
    "floats": (LABELS + 0.5, "which are no numbers of classes"),
    "truth values": (LABELS > 1, r"use y.astype\(int\)"),
    "negative": (LABELS - (LABELS == 3) * 4, r"must be >= 0, got -1 \(example 3\)"),
    "signs": (np.where(LABELS > 1, 1, -1), r"got -1 \(example 0\): for two classes, \(y > 0\)"),
    "beyond int32": (LABELS + (LABELS == 3) * 2**32, r"got 4294967299 \(example 3\)"),
    "from one": (LABELS + 1, "must start at 0, got 1 to 4: subtract 1 .*num_classes=5"),
    "a gap": (np.where(LABELS == 2, 5, LABELS), r"no example has classes 2, 4: number"),
    "even": (2 * LABELS, "of 0 to 6 .*no example has classes 1, 3, 5: number the classes"),
    "stray": (
        np.where(np.arange(12) == 7, 10**6, LABELS),
        r"0 to 1000000 \(example 7 of the train part\) .* classes 4, 5, 6 and 999993 more",
    ),
    "one class": (np.zeros(12, int), "two classes or more are needed, but all labels are 0"),
    "one class, not the first": (np.full(12, 7), "but all labels are 7"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_LABELS)
def test_other_labels_are_refused_with_what_to_do(tmp_path, name):
    labels, message = OTHER_LABELS[name]
    with pytest.raises(UserError, match=message):
        opened(tmp_path, y=labels)


# What the messages and docs/data.md say to do.
MENDED_IMAGES = {
    "channels first": lambda x: np.moveaxis(x, 1, -1),
    "examples last": lambda x: np.moveaxis(x, -1, 0),
    "rows": lambda x: x.reshape(-1, 8, 8, 3),
    "in [0, 1]": lambda x: np.rint(255 * x).astype(np.uint8),
    "in [0, 255]": lambda x: np.rint(x).astype(np.uint8),
    "normalised": lambda x: np.rint(255 * (x * 0.5 + 0.5)).astype(np.uint8),
    "of int64": lambda x: np.rint(x).astype(np.uint8),
    "of 16 bits": lambda x: np.rint(x / 257).astype(np.uint8),
}
MENDED_LABELS = {
    "one-hot": lambda y: np.argmax(y, axis=1),
    "one-hot of integers": lambda y: np.argmax(y, axis=1),
    "one-hot truth values": lambda y: np.argmax(y, axis=1),
    "a row": lambda y: y.ravel(),
    "names": lambda y: np.unique(y, return_inverse=True)[1],
    "whole floats": lambda y: y.astype(int),
    "from one": lambda y: y - 1,
    "even": lambda y: np.searchsorted(np.unique(y), y),
}


def test_what_the_messages_say_mends_the_arrays(tmp_path):
    for name, mend in MENDED_IMAGES.items():
        data = opened(tmp_path, x=mend(OTHER_IMAGES[name][0]))
        found = data.train.take(np.arange(12))["image"]
        np.testing.assert_array_equal(found, IMAGES, err_msg=name)
    for name, mend in MENDED_LABELS.items():
        data = opened(tmp_path, y=mend(OTHER_LABELS[name][0]))
        np.testing.assert_array_equal(data.train.labels, LABELS, err_msg=name)


def test_a_stray_label_in_the_test_part_is_found_there(tmp_path):
    labels = np.where(np.arange(12) == 5, 9, LABELS)
    with pytest.raises(UserError, match=r"0 to 9 \(example 5 of the test part\)"):
        opened(tmp_path, y_test=labels)


def test_a_class_of_the_test_part_alone(tmp_path, capsys):
    labels = np.where(np.arange(12) == 5, 4, LABELS)
    message = "the test part has class 4, of which there is no training .*num_classes=5"
    with pytest.raises(UserError, match=message):
        opened(tmp_path, y_test=labels)
    assert not capsys.readouterr().err
    data = opened(tmp_path, y_test=labels, config=dict(num_classes=5))
    assert data.num_classes == 5
    warning = "examples to test on, but none to train on, of class 4 of 5\n"
    assert capsys.readouterr().err.endswith(warning)
    opened(tmp_path, y_test=np.zeros(12, int), config=dict(num_classes=5))
    assert not capsys.readouterr().err


def test_a_column_of_labels_is_read_as_a_row(tmp_path):
    data = opened(tmp_path, y=LABELS[:, None].astype(np.uint8))
    assert data.num_classes == 4
    np.testing.assert_array_equal(data.train.labels, LABELS)
    assert data.train.labels.dtype == np.int32


@pytest.mark.parametrize("name", ["from one", "a gap", "even", "one class"])
def test_the_number_of_classes_may_be_stated(tmp_path, name):
    labels, _ = OTHER_LABELS[name]
    data = opened(tmp_path, y=labels, config=dict(num_classes=10))
    assert data.num_classes == 10
    np.testing.assert_array_equal(data.test.labels, labels)


def test_the_stated_number_of_classes_must_cover_the_labels(tmp_path):
    message = r"\(train\): labels must be below the number of classes, 3, got 3 \(ex"
    with pytest.raises(UserError, match=message):
        opened(tmp_path, config=dict(num_classes=3))
    message = r"\(test\): labels must be below the number of classes, 4, got 8 \(ex"
    with pytest.raises(UserError, match=message):
        opened(tmp_path, y_test=LABELS + 5, config=dict(num_classes=4))


def test_arrays_of_objects(tmp_path):
    images = np.empty(12, object)
    images[:] = list(IMAGES)
    with pytest.raises(UserError, match="holds Python objects, which could run code"):
        opened(tmp_path, x=images)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES.transpose(0, 3, 1, 2), LABELS, "image must have their channels last"),
        (IMAGES / 255, LABELS, r"scale them to [0, 255], round them"),
        (IMAGES, np.eye(4)[LABELS], "use np.argmax(y, axis=1)"),
    ],
)
def test_parts_of_synthetic_images_too(tmp_path, capsys, images, labels, message):
    write_part(tmp_path / "part.npz", images, labels)
    error = fails(capsys, tmp_path / "part.npz", tmp_path / "out")
    assert message in error
    assert not (tmp_path / "out").exists()
