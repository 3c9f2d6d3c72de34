"""`folder:DIR`: image files in one directory a class, as torchvision reads them."""

import dataclasses
import os
import pathlib
import zlib

import numpy as np

from train.base.config import DataConfig
from train.base.errors import UserError
from train.data.formats import paths
from train.data.formats.encoded import data_set
from train.data.splits import DataSet, Source

EXTENSIONS = (
    ".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"
)  # fmt: skip
SHOWN = 3  # names that a message lists


@dataclasses.dataclass(frozen=True, eq=False)
class Files:
    """The image files of one part, ordered by class and then by name.

    Attributes:
      folder: the part's own.
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
        path = self.folder / self.files[index]
        with paths.reading("folder", path):
            return path.read_bytes(), int(self.labels[index])

    def name(self, index: int) -> str:
        return repr(str(self.folder / self.files[index]))

    def checksum(self, indices: np.ndarray) -> int:
        names = "\0".join(self.files[i] for i in indices.tolist())
        return zlib.crc32(self.sizes[indices].tobytes(), zlib.crc32(os.fsencode(names)))


def open_folder(argument: str, data_config: DataConfig) -> DataSet:
    """The files `DIR/TRAIN_SPLIT/CLASS/FILE` and `DIR/TEST_SPLIT/CLASS/FILE`.

    Classes are numbered in the alphabetical order of their directories.

    Raises:
      UserError: a part is missing, a class is empty, or the parts' classes differ.
    """
    root = paths.local_folder("folder", argument)
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


FOLDER_SOURCE = Source("folder", open_folder, "DIR")


def _part(root: pathlib.Path, field: str, name: str) -> pathlib.Path:
    """The folder of the part that the field `data.FIELD` names."""
    part = root / name
    if not name or not part.is_dir():
        known = ", ".join(_directories(root)) or "no folder"
        raise UserError(
            f"folder: {str(root)!r} has no folder {name!r}, which data.{field} names; "
            f"it has {known}"
        )
    if not _directories(part):
        raise UserError(
            f"folder: {str(part)!r} holds no folders: it must hold one for each class"
        )
    return part


def _directories(folder: pathlib.Path) -> list[str]:
    with paths.reading("folder", folder), os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir())


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
    """The first names, and how many more there are."""
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
    """The name and the size in bytes of each image of a class, sorted by name."""
    with paths.reading("folder", folder), os.scandir(folder) as entries:
        return sorted(
            (entry.name, entry.stat().st_size)
            for entry in entries
            if entry.name.lower().endswith(EXTENSIONS) and entry.is_file()
        )
