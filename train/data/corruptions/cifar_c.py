"""`cifar_c:DIR`: the published arrays CIFAR-10-C and CIFAR-100-C.

Each corruption is a file NAME.npy, uint8 `[50000, 32, 32, 3]`: the 10,000 test images
at severity 1, then at severity 2, and so on. labels.npy has the labels of all 50,000.
"""

import functools
import zlib

import numpy as np

from train.base.errors import UserError
from train.base.files import Path
from train.data.corruptions.corruption import SEVERITIES
from train.data.formats import paths
from train.data.splits import InMemory, Split

LABELS = "labels.npy"
SAMPLE = 128  # images of each file that its checksum covers


class CifarC:
    """The published images of a CIFAR test part."""

    def __init__(self, argument: str, test: Split) -> None:
        """Opens the folder.

        Args:
          argument: the folder with the files, or the one that holds it.
          test: the test part as it is, whose labels must be those of the files.

        Raises:
          UserError: there is no such folder, or its labels are of other images.
        """
        self._folder = _folder(argument)
        labels = _array(self._folder / LABELS, (None,))
        count = len(labels) // len(SEVERITIES)
        expected = np.tile(test.labels, len(SEVERITIES))
        if not np.array_equal(labels, expected):
            raise UserError(
                f"cifar_c: {str(self._folder / LABELS)!r} holds labels of other images "
                f"than those evaluated: {count} at each severity, where "
                f"{len(test)} are evaluated; it must be CIFAR-10-C for the whole test "
                "part of CIFAR-10, CIFAR-100-C for that of CIFAR-100"
            )
        self._labels, self._count = test.labels, count

    @property
    def identity(self) -> str:
        """A text that changes when the images do."""
        files = sorted(self._folder.glob("*.npy"))
        checksum = 0
        for path in files:
            if path.name != LABELS:
                images = self._images(path.stem)
                sample = np.linspace(0, len(images) - 1, SAMPLE).astype(int)
                content = path.stem.encode() + images[sample].tobytes()
                checksum = zlib.crc32(content, checksum)
        return f"cifar_c of {self._count} ({checksum:08x})"

    def missing(self, name: str) -> str:
        """What is missing for a corruption; "": nothing."""
        path = self._folder / f"{name}.npy"
        return (
            ""
            if path.is_file()
            else f"cifar_c: {str(self._folder)!r} lacks {path.name}"
        )

    def split(self, name: str, severity: int) -> InMemory:
        """The examples under one corruption; they are read as they are taken."""
        start = (severity - 1) * self._count
        images = self._images(name)[start : start + self._count]
        return InMemory(images, self._labels)

    @functools.cache  # noqa: B019 - there is one for an evaluation
    def _images(self, name: str) -> np.ndarray:
        count = self._count * len(SEVERITIES)
        return _array(self._folder / f"{name}.npy", (count, 32, 32, 3), np.uint8)


def _folder(argument: str) -> Path:
    """The folder that holds labels.npy: the one that is given, or one in it."""
    given = paths.existing_folder("cifar_c", argument)
    inner = [given, *(path for path in sorted(given.iterdir()) if path.is_dir())]
    for folder in inner:
        if (folder / LABELS).is_file():
            return folder
    raise UserError(f"cifar_c: {str(given)!r} lacks {LABELS}")


def _array(
    path: Path, shape: tuple[int | None, ...], dtype: type | None = None
) -> np.ndarray:
    """An array on disk, of this shape (None: any length) and dtype."""
    try:
        found = np.load(str(path), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"cifar_c: {str(path)!r} cannot be read: {error}") from error
    fits = len(found.shape) == len(shape) and all(
        size in (None, given) for size, given in zip(shape, found.shape, strict=True)
    )
    if not fits or (dtype is not None and found.dtype != dtype):
        expected = " x ".join("N" if size is None else str(size) for size in shape)
        kind = "" if dtype is None else f"{np.dtype(dtype)} "
        raise UserError(
            f"cifar_c: {str(path)!r} must hold {kind}{expected}, got {found.dtype} "
            f"{found.shape}"
        )
    return found
