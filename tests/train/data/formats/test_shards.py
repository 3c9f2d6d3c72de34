"""Folders of synthetic images that do not fit a data set, or are damaged."""

import numpy as np
import pytest

from configs import base
from tests.support.parts import convert, converted, examples, write_part
from train.base.errors import UserError
from train.data import mixture
from train.data.formats import shards
from train.data.splits import DataSet, InMemory

SHAPE = (4, 4, 1)


def data_set():
    images = np.zeros((20, *SHAPE), np.uint8)
    split = InMemory(images, np.arange(20, dtype=np.int32) % 10)
    return DataSet(split, split, 10, SHAPE)


def joined(folder, **changed):
    config = base.get_config()
    config.data.synthetic = str(folder)
    config.update(changed)
    return mixture.joined(data_set(), config.data, config.batch_size)


def test_folders_that_do_not_fit(tmp_path):
    ours, *_ = converted(tmp_path / "a", (400,), shape=SHAPE)
    folder = tmp_path / "a" / "shards"
    assert len(joined(folder, batch_size=512).synthetic) == len(ours)
    message = r"holds 400 images, but each batch of 575 takes 402 .*ratio=0.7\)"
    with pytest.raises(UserError, match=message):
        joined(folder, batch_size=575)
    converted(tmp_path / "b", (20,), shape=(4, 5, 1))
    message = r"holds images \(4, 5, 1\) of 10 classes, but .* are \(4, 4, 1\) of 10"
    with pytest.raises(UserError, match=message):
        joined(tmp_path / "b" / "shards", batch_size=1)
    write_part(tmp_path / "c.npz", *examples(20, shape=SHAPE))
    convert(tmp_path / "c.npz", tmp_path / "c", num_classes=11)
    with pytest.raises(UserError, match=r"of 11 classes, but those of .* of 10"):
        joined(tmp_path / "c", batch_size=1)


def test_folders_that_are_none_or_damaged(tmp_path):
    with pytest.raises(
        UserError, match=r"got '/nowhere', which holds no metadata.json"
    ):
        joined("/nowhere")
    converted(tmp_path, (100,), shape=SHAPE)
    folder = tmp_path / "shards"
    shard, metadata = next(folder.glob("*.array_record")), folder / "metadata.json"
    content, told = bytearray(shard.read_bytes()), metadata.read_text()
    for change in ('"format": 1', '"format": 2'), ('"count"', '"counts"'), ("[", "{"):
        metadata.write_text(told.replace(*change))
        with pytest.raises(
            UserError, match=r"metadata.json (is not one|cannot be read)"
        ):
            joined(folder)
    metadata.write_text(told)
    shard.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        UserError, match=r"array_record is damaged: 0 records; delete it"
    ):
        joined(folder)
    content[content.index(examples(100, shape=SHAPE)[0][0].tobytes())] ^= 1
    shard.write_bytes(content)
    found = shards.open_shards(str(folder))
    with pytest.raises(UserError, match=r"array_record is damaged: .*hash mismatch"):
        found.take(np.arange(100))
    shard.unlink()
    with pytest.raises(UserError, match="lacks 1 of its 1 shards"):
        joined(folder)
