"""Reads the `.npz` files of synthetic images, "parts", in blocks of rows.

A part holds `image` uint8 `[N, H, W, K]` and `label` integer `[N]`, as those of Wang et
al., "Better Diffusion Models Further Improve Adversarial Training",
https://arxiv.org/abs/2302.04638, 2023. It may be larger than memory: both arrays are
read as streams from the zip file, compressed or not, one block at a time.
"""

import dataclasses
import math
import pathlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from train.base.errors import UserError
from train.data.formats.in_memory.problems import problems
from train.data.formats.shards import LABEL_TYPE

IMAGE, LABEL = "image", "label"
BLOCK = 1024  # rows that are read at a time
UNREADABLE = (
    EOFError, OSError, RuntimeError, TypeError, ValueError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip


class DamagedPart(UserError):
    """A part cannot be read to its end, or a checksum in it does not match."""

    def __init__(self, part: "NpzPart", problem: object) -> None:
        super().__init__(f"--parts: {str(part.path)!r} is damaged: {problem}")
        self.part = part


@dataclasses.dataclass(frozen=True)
class NpzPart:
    """One `.npz` file.

    Attributes:
      path: of the file.
      count: N.
      image_shape: (H, W, K).
      identity: name, size, N and the checksums that the zip file states, by which
        another content is recognised.
    """

    path: pathlib.Path
    count: int
    image_shape: tuple[int, int, int]
    identity: dict[str, Any]


class Member:
    """An array in a zip file, whose rows are read in order.

    Attributes:
      shape: as the array's header states it; `[N]` for a column `[N, 1]`.
      fortran: whether the array is in Fortran order.
      dtype: as the header states it.
      excess: bytes that the file has beyond those that the header states.
    """

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._stream = archive.open(f"{name}.npy")
        shape, self.fortran, self.dtype = _header(self._stream)
        is_column = len(shape) == 2 and shape[1] == 1
        self.shape: tuple[int, ...] = shape[:1] if is_column else shape
        stated = self._stream.tell() + math.prod(self.shape) * self.dtype.itemsize
        self.excess = archive.getinfo(f"{name}.npy").file_size - stated

    def rows(self, count: int) -> np.ndarray:
        """The next `count` rows; `EOFError` if there are fewer."""
        expected = count * math.prod(self.shape[1:]) * self.dtype.itemsize
        content = self._stream.read(expected)
        if len(content) != expected:
            raise EOFError("it ends early")
        return np.frombuffer(content, self.dtype).reshape(count, *self.shape[1:])

    def finish(self) -> None:
        """Raises unless all rows have been read and the zip file's checksum matches."""
        if self._stream.read(1):
            raise EOFError("there are bytes after the last row")


def inspect(path: pathlib.Path, num_classes: int) -> NpzPart:
    """Describes a part, after reading all its labels.

    Raises:
      UserError: it is no `.npz` file, lacks an array, or has one of another dtype or
        shape; or a label is outside [0, num_classes).
    """
    name = f"--parts: {str(path)!r}"
    try:
        with zipfile.ZipFile(path) as archive:
            held = [entry.removesuffix(".npy") for entry in archive.namelist()]
            missing = [entry for entry in (IMAGE, LABEL) if entry not in held]
            if missing:
                raise UserError(
                    f"{name} lacks {' and '.join(missing)}; it holds "
                    f"{', '.join(held) or 'nothing'}"
                )
            images, labels = Member(archive, IMAGE), Member(archive, LABEL)
            for problem in _problems(images, labels):
                raise UserError(f"{name}: {problem}")
            _check_labels(labels, num_classes, name)
            entries = [archive.getinfo(f"{entry}.npy") for entry in (IMAGE, LABEL)]
    except UNREADABLE as error:
        raise UserError(f"{name} cannot be read: {error}") from error
    count, height, width, channels = images.shape
    identity = {
        "name": path.name,
        "bytes": path.stat().st_size,
        "count": count,
        "crc32": [entry.CRC for entry in entries],
    }
    return NpzPart(path, count, (height, width, channels), identity)


def records(parts: Sequence[NpzPart], start: int) -> Iterator[bytes]:
    """Records of the examples of all parts in order, from example `start` on.

    A record is an image's bytes and its label. The last block of a part is yielded
    after its checksum has been verified.

    Raises:
      DamagedPart: a part cannot be read to its end, or its checksum does not match.
    """
    for part in parts:
        if start < part.count:
            try:
                yield from _records_of(part, start)
            except UNREADABLE as error:
                raise DamagedPart(part, error) from error
        start = max(start - part.count, 0)


def _records_of(part: NpzPart, start: int) -> Iterator[bytes]:
    with zipfile.ZipFile(part.path) as archive:
        members = Member(archive, IMAGE), Member(archive, LABEL)
        if members[0].shape[0] != part.count:
            raise EOFError("it has been replaced meanwhile")
        for first in range(0, part.count, BLOCK):
            last = min(first + BLOCK, part.count)
            images, labels = (member.rows(last - first) for member in members)
            if last == part.count:
                for member in members:
                    member.finish()
            if last > start:
                yield from _packed(images, labels)[max(start - first, 0) :]


def _packed(images: np.ndarray, labels: np.ndarray) -> list[bytes]:
    """One record for each row."""
    last = labels.astype(LABEL_TYPE)[:, None].view(np.uint8)
    rows = np.concatenate([images.reshape(len(images), -1), last], axis=1)
    return [row.tobytes() for row in rows]


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran order, and dtype, from the header of a `.npy` file."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"version {version} of the .npy format is not supported")


def _problems(images: Member, labels: Member) -> Iterator[str]:
    """What is wrong with the arrays, except for the labels' values."""
    yield from problems(images, labels, (IMAGE, LABEL))
    if images.fortran:
        yield "image must be in C order, got Fortran order"
    if images.excess or labels.excess:
        yield (
            f"image has {images.excess} and label {labels.excess} bytes more than "
            "their headers say"
        )


def _check_labels(labels: Member, num_classes: int, name: str) -> None:
    count = labels.shape[0]
    for first in range(0, count, BLOCK):
        block = labels.rows(min(BLOCK, count - first))
        wrong = block[(block < 0) | (block >= num_classes)]
        if wrong.size:
            raise UserError(
                f"{name}: labels must lie in [0, {num_classes}) (--num_classes), got "
                f"{wrong[0]}"
            )
    labels.finish()
