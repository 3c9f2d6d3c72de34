"""`folder:DIR`: image files in a directory a class, numbered as torchvision does."""

import dataclasses
import os
import pathlib
import zlib

import numpy as np

from train.base.config import DataConfig
from train.base.errors import UserError
from train.data.formats.encoded import data_set
from train.data.splits import DataSet

EXTENSIONS = (
    ".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"
)  # fmt: skip
SHOWN = 3  # names in a message


@dataclasses.dataclass(frozen=True, eq=False)
class Files:
    """The image files of one part, class after class, in the order of their names.

    Attributes:
      folder: of the part.
      files: CLASS/FILE of each.
      labels: `[N]` int32.
      sizes: `[N]` in bytes.
    """

    folder: pathlib.Path
    files: list[str]
    labels: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> tuple[bytes, int]:
        try:
            content = (self.folder / self.files[index]).read_bytes()
        except OSError as error:
            raise UserError(
                f"folder: {self.name(index)} cannot be read: {error.strerror}"
            ) from error
        return content, int(self.labels[index])

    def name(self, index: int) -> str:
        return repr(str(self.folder / self.files[index]))

    def checksum(self, indices: np.ndarray) -> int:
        names = "\0".join(self.files[i] for i in indices.tolist())
        return zlib.crc32(self.sizes[indices].tobytes(), zlib.crc32(os.fsencode(names)))


def open_folder(argument: str, data_config: DataConfig) -> DataSet:
    """`DIR/TRAIN_SPLIT/CLASS/FILE` and `DIR/TEST_SPLIT/CLASS/FILE`.

    Classes are numbered in the order of their directories' names.

    Raises:
      UserError: a part is missing, a class is empty, or the parts' classes differ.
    """
    root = pathlib.Path(argument).expanduser()
    if not root.is_dir():
        raise UserError(f"folder: there is no folder {str(root)!r}")
    parts = {
        field: _part(root, field, getattr(data_config, field))
        for field in ("train_split", "test_split")
    }
    names, others = (_directories(part) for part in parts.values())
    _check_equal(names, others, data_config)
    train, test = (_files(part, names) for part in parts.values())
    return data_set(
        train, test, tuple(names), num_classes=len(names), data_config=data_config
    )


def _part(root: pathlib.Path, field: str, name: str) -> pathlib.Path:
    part = root / name
    if not name or not part.is_dir():
        known = ", ".join(_directories(root)) or "no folder"
        raise UserError(
            f"folder: {str(root)!r} has no folder {name!r}, which data.{field} names; "
            f"it has {known}"
        )
    if not _directories(part):
        raise UserError(f"folder: {str(part)!r} holds no folders, one a class")
    return part


def _directories(folder: pathlib.Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except OSError as error:
        raise UserError(
            f"folder: {str(folder)!r} cannot be read: {error.strerror}"
        ) from error


def _check_equal(train: list[str], test: list[str], data_config: DataConfig) -> None:
    """Raises `UserError` unless both parts have the same classes."""
    only = [
        f"{_shown(sorted(missing))} only in {part!r}"
        for missing, part in (
            (set(train) - set(test), data_config.train_split),
            (set(test) - set(train), data_config.test_split),
        )
        if missing
    ]
    if only:
        raise UserError(f"folder: the parts differ in classes: {'; '.join(only)}")


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _files(part: pathlib.Path, classes: list[str]) -> Files:
    files, labels, sizes = [], [], []
    for label, name in enumerate(classes):
        found = _images(part / name)
        if not found:
            raise UserError(
                f"folder: {str(part / name)!r} holds no image; it must hold files "
                f"named {', '.join('*' + extension for extension in EXTENSIONS)}"
            )
        files += [f"{name}/{file}" for file, _ in found]
        sizes += [size for _, size in found]
        labels += [label] * len(found)
    return Files(part, files, np.asarray(labels, np.int32), np.asarray(sizes, np.int64))


def _images(folder: pathlib.Path) -> list[tuple[str, int]]:
    """Names and sizes in bytes of a class's images, sorted."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry.name, entry.stat().st_size)
                for entry in entries
                if entry.name.lower().endswith(EXTENSIONS) and entry.is_file()
            )
    except OSError as error:
        raise UserError(
            f"folder: {str(folder)!r} cannot be read: {error.strerror}"
        ) from error
