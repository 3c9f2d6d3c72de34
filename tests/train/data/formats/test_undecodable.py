"""Images that do not decode, files that change, and what is made of them."""

import numpy as np
import pytest

from tests.support.folders import damage, opened, write
from train.base.errors import UserError
from train.data.fingerprint import fingerprint
from train.data.formats.encoded import forms
from train.data.splits import View


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    return tmp_path


BAD = "train/n02085620/n02085620_1.JPEG"  # index 17

ALSO_BAD = "train/n02085620/n02085620_10.JPEG"  # index 18


def test_an_undecodable_image_is_an_error(folder):
    damage(folder, BAD, "val/n01440764/n01440764_0.JPEG")
    data = opened(folder)
    with pytest.raises(
        UserError, match=f"{BAD}' cannot be decoded: .*data.undecodable=skip"
    ):
        data.train.take_training(np.arange(48))
    assert data.replaced.mask().sum() == 0
    for skip in ("error", "skip"):
        data = opened(folder, undecodable=skip)
        with pytest.raises(
            UserError, match="n01440764_0.JPEG' .*no image is left out where a model"
        ):
            data.test.take(np.arange(12))


def test_an_undecodable_image_is_replaced_by_the_next(folder, capsys):
    whole = opened(folder).train.take_training(np.arange(48))
    damage(folder, BAD, ALSO_BAD)
    data = opened(folder, undecodable="skip", threads=8)
    crops = np.random.default_rng(0).random((48, forms.ATTEMPTS, 4))
    for _ in range(3):
        batch = data.train.take_training(np.arange(48))
        order = np.array([*range(17), 19, 19, *range(19, 48)])
        np.testing.assert_array_equal(batch["image"], whole["image"][order])
        np.testing.assert_array_equal(batch["label"], whole["label"][order])
        data.train.take_training(np.full(48, 17), crops)
    assert np.flatnonzero(data.replaced.mask()).tolist() == [17, 18]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    start = f"warning: '{folder / BAD}' cannot be decoded and is replaced in training: "
    assert any(line.startswith(start) for line in lines)


def test_replacements_come_from_the_training_part_alone(folder):
    damage(folder, BAD, ALSO_BAD)
    data = opened(folder, undecodable="skip", validation_size=24)
    assert isinstance(data.train, View)
    kept = np.array([2, 17, 18, 30, 31])
    whole = data.train.split
    expected = whole.take(np.array([2, 30, 30, 30, 31]))["image"]
    found = View(whole, kept).take_training(np.arange(5))["image"]
    np.testing.assert_array_equal(found, expected)
    # After the last comes the first; and a view of a view knows only its own.
    last = View(View(whole, kept), np.array([0, 1]))
    found = last.take_training(np.array([1]))["image"]
    np.testing.assert_array_equal(found, expected[:1])


def test_a_training_part_of_which_nothing_decodes(folder):
    damage(folder, *(file.relative_to(folder) for file in folder.glob("train/*/*")))
    data = opened(folder, undecodable="skip")
    with pytest.raises(UserError, match="no image of the training part can be"):
        data.train.take_training(np.arange(2))
    with pytest.raises(UserError, match="no image of the training part can be"):
        opened(folder, image_size=0)


def test_a_file_that_is_gone_is_no_undecodable_image(folder):
    data = opened(folder, undecodable="skip")
    (folder / BAD).unlink()
    with pytest.raises(UserError, match=f"{BAD}' cannot be read: No such file"):
        data.train.take_training(np.arange(48))


def test_a_file_that_is_exchanged_shows_in_the_fingerprint(folder):
    def text(**changed):
        return fingerprint(opened(folder, **changed))

    before = text()
    assert before.startswith("3 classes, 48 of 32x32x3 (")
    assert text() == before
    assert text(validation_size=8) != before
    (folder / BAD).rename(folder / "train/n02085620/n02085620_1.JPG")  # same place
    renamed = text()
    assert renamed != before
    with (folder / ALSO_BAD).open("ab") as file:
        file.write(b"\0")
    assert text() != renamed
    damage(folder, ALSO_BAD)  # what does not decode has a fingerprint too
    assert text(undecodable="skip") != renamed


def test_a_size_that_changes_counts_beyond_the_sample(tmp_path, monkeypatch):
    """With a sample of 2, another size of any file is noticed."""
    from train.data import fingerprint as room

    monkeypatch.setattr(room, "SAMPLE", 2)
    write(tmp_path, train=3, test=1)
    before = fingerprint(opened(tmp_path))
    with (tmp_path / "train/n02085620/n02085620_1.JPEG").open("ab") as file:
        file.write(b"\0")
    assert fingerprint(opened(tmp_path)) != before
