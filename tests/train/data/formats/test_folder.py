"""Folders of encoded images: what is read, in which order, and what is refused."""

import shutil
import threading
from functools import partial

import numpy as np
import pytest

from tests.support.batches import check_same, check_two_processes, take
from tests.support.data import data_config
from tests.support.folders import (
    CLASSES,
    SMALL,
    decoded,
    encoded,
    opened,
    pixels,
    write,
)
from train.base.errors import UserError
from train.data import pipeline, sources
from train.data.fingerprint import fingerprint
from train.data.formats.encoded import decoding, forms

AUGMENTED = SMALL | dict(random_resized_crop=True, flip=True)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    return tmp_path


def test_images_labels_and_names(folder):
    data = opened(folder)
    assert (len(data.train), len(data.test), data.num_classes) == (48, 12, 3)
    assert data.image_shape == (32, 32, 3)
    assert data.class_names == CLASSES
    # Files in the order of their names: 0, 1, 10 to 15, 2, ...
    files = sorted((folder / "train" / CLASSES[1]).iterdir())
    batch = data.train.take(np.array([16 + 5, 0, 16 + 5]))
    assert batch["label"].tolist() == [1, 0, 1]
    assert batch["label"].dtype == np.int32
    expected = forms.evaluation_form(
        decoded(files[5].read_bytes()), resize_shorter=36, size=32
    )
    for row in (0, 2):
        np.testing.assert_array_equal(batch["image"][row], np.asarray(expected))
    np.testing.assert_array_equal(data.train.labels, np.repeat([0, 1, 2], 16))
    np.testing.assert_array_equal(data.test.labels, np.repeat([0, 1, 2], 4))


def test_extensions_in_any_case_and_other_files(tmp_path):
    image = pixels(0, 40, 50)
    for part in ("train", "val"):
        (tmp_path / part / "cat").mkdir(parents=True)
        (tmp_path / part / "dog").mkdir()
        (tmp_path / part / "dog" / "f.png").write_bytes(encoded(image, "PNG"))
        for name, kind in (
            ("a.JPG", "JPEG"), ("b.png", "PNG"), ("c.BMP", "BMP"), ("d.WebP", "WEBP"),
            ("notes.txt", "PNG"), ("e.jpeg.bak", "JPEG"),
        ):  # fmt: skip
            (tmp_path / part / "cat" / name).write_bytes(encoded(image, kind))
    files = [f"cat/{name}" for name in ("a.JPG", "b.png", "c.BMP", "d.WebP")]
    assert opened(tmp_path).train.records.files == [*files, "dog/f.png"]


def test_images_of_one_size_stay_as_they_are(tmp_path):
    for part in ("train", "val"):
        for label in "ab":
            (tmp_path / part / label).mkdir(parents=True)
            for number in range(3):
                image = pixels(ord(label) + number, 32, 24)
                content = encoded(image, "PNG")
                (tmp_path / part / label / f"{number}.png").write_bytes(content)
    data = opened(tmp_path, image_size=0)
    assert data.image_shape == (32, 24, 3)
    batch = data.train.take(np.arange(6))
    np.testing.assert_array_equal(batch["image"][4], pixels(ord("b") + 1, 32, 24))
    other = tmp_path / "train" / "b" / "2.png"
    other.write_bytes(encoded(pixels(0, 24, 32), "PNG"))
    data = opened(tmp_path, image_size=0)
    message = "b/2.png' has 24 x 32 pixels where others have 32 x 24: data.image_size"
    with pytest.raises(UserError, match=message):
        data.train.take_training(np.arange(6))


def batches(folder, *, rows=pipeline.all_rows, **changed):
    config = data_config(f"folder:{folder}", **(AUGMENTED | changed))
    split = sources.open_source(config).train
    return pipeline.training_batches(split, config, batch_size=10, seed=3, rows=rows)


@pytest.mark.parametrize("threads", [1, 4])
def test_training_batches_depend_on_neither_threads_nor_restarts(folder, threads):
    whole = take(batches(folder, threads=2), 12)
    first = batches(folder, threads=threads)
    check_same(take(first, 7), whole[:7])
    second = batches(folder, threads=3)
    second.set_state(first.get_state())
    check_same(take(second, 5), whole[7:])


def test_training_crops_differ_from_epoch_to_epoch(folder):
    read = take(batches(folder, drop_remainder=False), 10)
    epochs = [
        {image.tobytes() for batch in part for image in batch["image"]}
        for part in (read[:5], read[5:])
    ]
    assert [len(epoch) for epoch in epochs] == [48, 48]
    assert not epochs[0] & epochs[1]


def test_two_processes_read_the_rows_of_one(folder):
    check_two_processes(partial(batches, folder), 6)


def test_without_random_crops_training_sees_the_centre(folder):
    config = data_config(f"folder:{folder}", **SMALL)
    data = sources.open_source(config)
    batch = next(pipeline.training_batches(data.train, config, batch_size=48, seed=0))
    expected = data.train.take(np.arange(48))["image"]
    found = {image.tobytes() for image in batch["image"]}
    assert found == {image.tobytes() for image in expected}


def remove_class(root):
    shutil.rmtree(root / "val" / CLASSES[2])
    (root / "val" / "n99999999").mkdir()
    (root / "val" / "n99999999" / "x.png").write_bytes(b"")


def empty_class(root):
    for file in (root / "train" / CLASSES[1]).iterdir():
        file.rename(file.with_suffix(".txt"))


def only_files(root):
    for folder in (root / "val").iterdir():
        shutil.rmtree(folder)


def one_broken_link(root):
    (root / "train" / CLASSES[1] / "z.png").symlink_to(root / "nowhere.png")


def a_link_upwards(root):
    (root / "train" / CLASSES[1] / "up").symlink_to(root / "train" / CLASSES[1])


def one_class(root):
    for part in ("train", "val"):
        for name in CLASSES[1:]:
            shutil.rmtree(root / part / name)


REFUSED = {
    "no part": (
        lambda root: None, dict(test_split="test"),
        "no folder 'test', which data.test_split names; it has train, val",
    ),
    "no name": (lambda root: None, dict(train_split=""), "data.train_split names"),
    "classes": (
        remove_class, {},
        "n07714571 only in 'train'; n99999999 only in 'val'",
    ),
    "empty class": (empty_class, {}, "train/n02085620' holds no image; it must hold"),
    "broken link": (one_broken_link, {}, "n02085620/z.png' cannot be read: No such"),
    "link upwards": (a_link_upwards, {}, "n02085620/up' is a link to a folder above it"),
    "one class": (one_class, {}, "two classes or more are needed, got 1"),
    "number of classes": (
        lambda root: None, dict(num_classes=4),
        "data.num_classes must be the number of class folders, 3, got 4",
    ),
    "no image at all": (
        lambda root: shutil.rmtree(root / "val") or (root / "val" / "a").mkdir(parents=True),
        dict(num_classes=4), "/val' holds no image; it must hold",
    ),
    "no classes": (only_files, {}, "val' holds no folders: it must hold one for each class"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_folders_that_cannot_be_used(folder, name):
    change, changed, message = REFUSED[name]
    change(folder)
    with pytest.raises(UserError, match=message):
        opened(folder, **changed)


@pytest.mark.parametrize(
    "name",
    [
        ".ipynb_checkpoints", ".DS_Store", "__MACOSX", "@eaDir", "lost+found",
        "$RECYCLE.BIN",
    ],
)  # fmt: skip
def test_hidden_and_system_folders_are_no_data(folder, name):
    before = opened(folder)
    for place in ("", "train", "val", f"train/{CLASSES[1]}"):
        (folder / place / name).mkdir()
        content = encoded(pixels(0, 40, 40))
        (folder / place / name / "0.jpg").write_bytes(content)
    after = opened(folder)
    assert after.class_names == CLASSES
    assert fingerprint(after) == fingerprint(before)


def test_hidden_and_system_files_are_no_data(folder):
    before = fingerprint(opened(folder))
    for name in ("._0.jpg", ".0.png", "Thumbs.db", "desktop.ini"):
        (folder / "train" / CLASSES[0] / name).write_bytes(b"no image")
    assert fingerprint(opened(folder)) == before


def test_folders_within_a_class_belong_to_it(folder):
    """As in Tiny ImageNet, and where some images lie deeper than others."""
    flat = opened(folder).train.take(np.arange(48))
    for name in CLASSES[:2]:
        (folder / "train" / name / "images").mkdir()
        for file in sorted((folder / "train" / name).glob("*.JPEG")):
            file.rename(file.parent / "images" / file.name)
    (folder / "train" / CLASSES[0] / "images" / "deep").mkdir()
    last = folder / "train" / CLASSES[0] / "images" / f"{CLASSES[0]}_9.JPEG"
    last.rename(last.parent / "deep" / last.name)
    first = folder / "train" / CLASSES[1] / "images" / f"{CLASSES[1]}_0.JPEG"
    first.rename(folder / "train" / CLASSES[1] / "z.JPEG")  # before those of folders
    split = opened(folder).train
    assert split.records.files[15] == f"{CLASSES[0]}/images/deep/{CLASSES[0]}_9.JPEG"
    assert split.records.files[16] == f"{CLASSES[1]}/z.JPEG"
    nested = split.take(np.arange(48))
    for name in ("image", "label"):
        np.testing.assert_array_equal(nested[name], flat[name])


def test_classes_without_images_keep_their_numbers(folder):
    """Those of other weights, say; each class has a folder in one part at least."""
    (folder / "train" / "n00000000").mkdir()
    shutil.rmtree(folder / "val" / CLASSES[1])
    with pytest.raises(UserError, match="n00000000, n02085620 only in 'train'"):
        opened(folder)
    data = opened(folder, num_classes=4)
    assert data.class_names == ("n00000000", *CLASSES)
    np.testing.assert_array_equal(data.train.labels, np.repeat([1, 2, 3], 16))
    np.testing.assert_array_equal(data.test.labels, np.repeat([1, 3], 4))


@pytest.mark.parametrize(
    "place", ["train", "val", f"train/{CLASSES[0]}", "..", "other/deep"]
)
def test_a_folder_near_the_one_that_is_meant(tmp_path, place):
    """One sentence that names the right one, and not all class folders."""
    root = tmp_path / "data"
    write(root, train=1, test=1, classes=[f"c{i}" for i in range(9)] + [*CLASSES])
    (root / "other" / "deep").mkdir(parents=True)
    with pytest.raises(UserError) as caught:
        opened(root / place)
    message = str(caught.value)
    assert "has no folder 'train', which data.train_split names; it has" in message
    assert message.endswith(f"'{root}' has both parts: use folder:{root}")
    assert "c4" not in message


def test_a_folder_far_from_any_data(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(UserError, match="data.train_split names; it has a$"):
        opened(tmp_path)


def test_a_folder_that_is_not_there():
    with pytest.raises(UserError, match="there is no folder '/nowhere'"):
        opened("/nowhere")


def test_a_long_tailed_folder_decodes_nothing_for_it(folder, monkeypatch):
    monkeypatch.setattr(decoding, "decode", None)
    data = opened(folder, imbalance_ratio=4.0)
    assert np.bincount(data.train.labels).tolist() == [16, 8, 4]


@pytest.mark.parametrize("method", ["take", "take_training"])
def test_the_images_of_a_batch_are_decoded_side_by_side(folder, monkeypatch, method):
    """Each waits for two others, which none would live to see if they took turns."""
    three = threading.Barrier(3)
    decode = decoding.decode

    def decode_together(content, **options):
        three.wait(timeout=20)
        return decode(content, **options)

    data = opened(folder, threads=3)
    expected = data.train.take(np.arange(9))["image"]
    monkeypatch.setattr(decoding, "decode", decode_together)
    found = getattr(data.train, method)(np.arange(9))["image"]
    np.testing.assert_array_equal(found, expected)
