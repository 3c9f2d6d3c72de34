"""Reads the synthetic images that `train.convert_synthetic` has written, in any order.

A folder holds shards and a description of them, `metadata.json`. A shard is an
ArrayRecord file with one record for each example: the image's bytes, then the label in
four bytes.
"""

import dataclasses
import importlib
import json
import pathlib
import threading
import zlib
from typing import Any

import numpy as np

from train.base import files
from train.base.errors import UserError
from train.base.types import Batch

METADATA = "metadata.json"
FORMAT = 1
LABEL_TYPE = np.dtype("<i4")  # of the label in a record
# Records are read one at a time and in any order, so nothing is read ahead.
READING = "readahead_buffer_size:0,max_parallelism:0"
BUFFER = 4096  # bytes


@dataclasses.dataclass(frozen=True)
class Layout:
    """The content of `metadata.json`.

    Attributes:
      image_shape: (H, W, K) of all images.
      num_classes: C.
      count: N, the examples of all shards.
      examples_per_shard: the last shard may have fewer.
      parts: the identity of each `.npz` file that was converted, in order.
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    count: int
    examples_per_shard: int
    parts: list[dict[str, Any]]

    @property
    def num_shards(self) -> int:
        return -(-self.count // self.examples_per_shard)

    def shard(self, folder: pathlib.Path, number: int) -> pathlib.Path:
        name = f"synthetic-{number:05d}-of-{self.num_shards:05d}.array_record"
        return folder / name

    def shards(self, folder: pathlib.Path) -> list[pathlib.Path]:
        return [self.shard(folder, number) for number in range(self.num_shards)]

    def size(self, number: int) -> int:
        """The number of examples of a shard."""
        start = number * self.examples_per_shard
        return min(self.examples_per_shard, self.count - start)

    def to_json(self) -> str:
        return files.to_json({"format": FORMAT, **dataclasses.asdict(self)})


def read_layout(folder: pathlib.Path) -> Layout:
    """Reads a folder's `metadata.json`; `UserError` if it is damaged or missing."""
    path = folder / METADATA
    content = files.read_json(path)
    try:
        if content.pop("format") != FORMAT:
            raise ValueError("another format")
        layout = Layout(**content)
        height, width, channels = layout.image_shape
        layout = dataclasses.replace(layout, image_shape=(height, width, channels))
        _ = layout.num_shards, [part["crc32"] for part in layout.parts]
    except (AttributeError, ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} is not one that train.convert_synthetic has written: {error}"
        ) from error
    return layout


class Shards:
    """Examples on disk that several threads can read in any order."""

    def __init__(self, layout: Layout, folder: pathlib.Path) -> None:
        """Opens all shards.

        Raises:
          UserError: a shard is missing or damaged.
        """
        self.layout, self._paths = layout, layout.shards(folder)
        missing = [path.name for path in self._paths if not path.is_file()]
        if missing:
            raise UserError(
                f"data.synthetic: {folder} lacks {len(missing)} of its "
                f"{len(self._paths)} shards, first {missing[0]}: the same "
                "train.convert_synthetic again writes them"
            )
        self._readers = [_reader(path) for path in self._paths]
        self._locks = [threading.Lock() for _ in self._readers]
        for number, reader in enumerate(self._readers):
            if reader.num_records() != layout.size(number):
                self._refuse(number, f"{reader.num_records()} records")

    def __len__(self) -> int:
        return self.layout.count

    @property
    def checksum(self) -> int:
        """Changes when an image, a label or their order does. Reads no shard."""
        content = [part["crc32"] for part in self.layout.parts]
        return zlib.crc32(json.dumps(content).encode())

    def take(self, indices: np.ndarray) -> Batch:
        """The examples at `indices`: `image` uint8 `[B, H, W, K]`, `label` `[B]`.

        Raises:
          UserError: a record is damaged.
        """
        per_shard = self.layout.examples_per_shard
        size = int(np.prod(self.layout.image_shape))
        rows = np.empty((len(indices), size + LABEL_TYPE.itemsize), np.uint8)
        shards = indices // per_shard
        for number in np.unique(shards):
            there = np.flatnonzero(shards == number)
            within = (indices[there] - number * per_shard).tolist()
            content = b"".join(self._read(int(number), within))
            rows[there] = np.frombuffer(content, np.uint8).reshape(len(there), -1)
        labels = rows[:, size:].copy().view(LABEL_TYPE)[:, 0]
        images = rows[:, :size].reshape(-1, *self.layout.image_shape)
        return {"image": images, "label": labels.astype(np.int32)}

    def _read(self, number: int, within: list[int]) -> list[bytes]:
        try:
            with self._locks[number]:
                return self._readers[number].read(within)
        except (IndexError, RuntimeError, ValueError) as error:
            self._refuse(number, error)
            raise

    def _refuse(self, number: int, problem: object) -> None:
        raise UserError(
            f"data.synthetic: {self._paths[number]} is damaged: {problem}; delete it, "
            "and the same train.convert_synthetic writes it again"
        )


def open_shards(name: str) -> Shards:
    """The images that `train.convert_synthetic` has written to a folder.

    Raises:
      UserError: it holds none, or not all of them, or a shard is damaged.
    """
    folder = files.local(name, "data.synthetic")
    if not (folder / METADATA).is_file():
        raise UserError(
            "data.synthetic must be a folder that train.convert_synthetic has written, "
            f"got {name!r}, which holds no {METADATA}"
        )
    return Shards(read_layout(folder), folder)


def _reader(path: pathlib.Path) -> Any:
    return array_record().ArrayRecordReader(
        str(path), READING, file_reader_buffer_size=BUFFER
    )


def array_record() -> Any:
    """The compiled module of the package array_record, which has no types."""
    try:
        return importlib.import_module("array_record.python.array_record_module")
    except ImportError as error:
        raise UserError(
            f"synthetic images need array_record: pip install array-record ({error})"
        ) from error
