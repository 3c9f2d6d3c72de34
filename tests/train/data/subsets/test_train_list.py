"""Training parts that a file lists."""

import numpy as np
import pytest

from tests.support.data import data_config
from tests.support.folders import CLASSES, write
from train.base.errors import UserError
from train.data import sources


def opened(source, path, **changed):
    return sources.open_source(data_config(source, train_list=str(path), **changed))


def write_list(tmp_path, *lines):
    path = tmp_path / "list.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_indices_into_the_training_part(tmp_path):
    whole = sources.open_source(data_config("digits"))
    data = opened("digits", write_list(tmp_path, "700", "3", "", "1436"))
    expected = whole.train.take(np.array([3, 700, 1436]))
    found = data.train.take(np.arange(3))
    np.testing.assert_array_equal(found["image"], expected["image"])
    np.testing.assert_array_equal(data.train.labels, expected["label"])
    assert len(data.test) == 360


def test_validation_examples_are_held_out_of_the_listed(tmp_path):
    path = write_list(tmp_path, *map(str, range(100, 140)))
    data = opened("digits", path, validation_size=10, evaluate_on="validation")
    assert (len(data.train), len(data.test)) == (30, 10)
    images = sources.open_source(data_config("digits")).train.take(np.arange(100, 140))
    listed = sorted(image.tobytes() for image in images["image"])
    parts = [part.take(np.arange(len(part))) for part in (data.train, data.test)]
    found = sorted(image.tobytes() for part in parts for image in part["image"])
    assert found == listed


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, train=4, test=1)
    return tmp_path


SMALL = dict(test_split="val", image_size=32, resize_shorter=36)


@pytest.mark.parametrize("labels", [True, False])
def test_paths_as_imagenet_lt_lists_them(folder, labels):
    lines = [
        f"train/{CLASSES[label]}/{CLASSES[label]}_{number}.JPEG" + f" {label}" * labels
        for label, number in ((2, 3), (0, 1), (2, 0))
    ]
    data = opened(f"folder:{folder}", write_list(folder, *lines), **SMALL)
    assert data.num_classes == 3
    np.testing.assert_array_equal(data.train.labels, [0, 2, 2])
    whole = sources.open_source(data_config(f"folder:{folder}", **SMALL)).train
    found = data.train.take(np.arange(3))["image"]
    expected = whole.take(np.array([1, 8, 11]))["image"]
    np.testing.assert_array_equal(found, expected)


def test_paths_of_folders_within_a_class(folder):
    (folder / "train" / CLASSES[1] / "images").mkdir()
    name = f"{CLASSES[1]}_2.JPEG"
    within = f"train/{CLASSES[1]}/images/{name}"
    (folder / "train" / CLASSES[1] / name).rename(folder / within)
    for listed in (within, f"/data/{within} 1"):
        path = write_list(folder, listed, f"{CLASSES[0]}/{CLASSES[0]}_3.JPEG")
        data = opened(f"folder:{folder}", path, **SMALL)
        np.testing.assert_array_equal(data.train.labels, [0, 1])


FILE = "n01440764/n01440764_1.JPEG"
REFUSED = {
    "empty": ([""], "list.txt' lists no example"),
    "label": (
        [f"{FILE} 0", "", "train/n02085620/n02085620_0.JPEG 2"],
        "line 3: the label of 'n02085620/n02085620_0.JPEG' is 2 there, but its class "
        "'n02085620' has the label 1",
    ),
    "twice": ([FILE, f"train/{FILE} 0"], "line 2: the same example as in line 1"),
    "index twice": (["3", "5", "3"], "line 3: the same example as in line 1"),
    "beyond": (["3", "12"], "line 2: indices must be from 0 to 11, got 12"),
    "negative": (["-1"], "line 1: indices must be from 0 to 11, got -1"),
    "unknown": (
        [FILE, "n01440764/n01440764_9.JPEG"],
        "line 2: the training part has no file 'n01440764/n01440764_9.JPEG'",
    ),
    "no class": (["n01440764_1.JPEG"], "line 1: the training part has no file"),
    "of the test part": (["val/n01440764/x.JPEG"], "line 1: the training part has no"),
    "mixed": (["3", FILE], "line 2: .* must be an index, since the first line is one"),
    "index after paths": ([FILE, "3"], "line 2: the training part has no file '3'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_lists_that_do_not_fit_a_folder(folder, name):
    lines, message = REFUSED[name]
    with pytest.raises(UserError, match=message):
        opened(f"folder:{folder}", write_list(folder, *lines), **SMALL)


def test_paths_need_files(tmp_path):
    with pytest.raises(UserError, match="line 1: .*only a folder's files"):
        opened("digits", write_list(tmp_path, f"{FILE} 0"))


def test_lists_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="none.txt' cannot be read: .*No such file"):
        opened("digits", tmp_path / "none.txt")
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="list.txt' cannot be read"):
        opened("digits", tmp_path / "list.txt")
