"""`folder:DIR`: image files in one directory a class, as torchvision reads them."""

import dataclasses
import os
import pathlib
import zlib
from collections.abc import Iterable, Iterator, Sequence

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
# What systems put among a user's files, besides names that begin with a dot.
OF_SYSTEMS = {
    "$RECYCLE.BIN", "@eaDir", "@Recycle", "__MACOSX", "desktop.ini", "lost+found",
    "System Volume Information", "Thumbs.db",
}  # fmt: skip
_NO_IMAGE = (
    "holds no image; it must hold files named "
    f"{', '.join('*' + extension for extension in EXTENSIONS)}"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Files:
    """The image files of one part, ordered by class, then by folder, then by name.

    Attributes:
      folder: the part's own.
      files: CLASS/FILE of each, or CLASS/FOLDER/FILE.
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

    Classes are numbered in the alphabetical order of their directories, which may have
    directories of their own. With `data.num_classes`, classes may have no images in one
    part or in both, but each must have a directory in one of them.

    Raises:
      UserError: a part is missing, a class is empty, or the parts' classes differ.
    """
    root = paths.local_folder("folder", argument)
    fields = ("train_split", "test_split")
    names = [getattr(data_config, field) for field in fields]
    parts = [
        _part(root, field, name, names)
        for field, name in zip(fields, names, strict=True)
    ]
    in_train, in_test = map(_directories, parts)
    classes = _classes(in_train, in_test, data_config)
    train, test = (
        _files(part, classes, may_be_empty=data_config.num_classes > 0)
        for part in parts
    )
    return data_set(
        train, test, tuple(classes), num_classes=len(classes), data_config=data_config
    )


def files_of_part(part: pathlib.Path, classes: Sequence[str]) -> Files:
    """The files PART/CLASS/FILE of these classes, which are numbered in this order.

    Raises:
      UserError: there are none, or the folder cannot be read.
    """
    return _files(part, list(classes), may_be_empty=True)


FOLDER_SOURCE = Source("folder", open_folder, "DIR")


def _part(
    root: pathlib.Path, field: str, name: str, names: Iterable[str]
) -> pathlib.Path:
    """The folder of the part that the field `data.FIELD` names, `names` being both."""
    part = root / name
    if not name or not part.is_dir():
        known = _shown(_directories(root)) or "no folder"
        raise UserError(
            f"folder: {str(root)!r} has no folder {name!r}, which data.{field} names; "
            f"it has {known}{_elsewhere(root, names)}"
        )
    if not _directories(part):
        raise UserError(
            f"folder: {str(part)!r} holds no folders: it must hold one for each class"
        )
    return part


def _elsewhere(root: pathlib.Path, names: Iterable[str]) -> str:
    """Names the folder near `root` that has both parts, if there is one."""
    root = pathlib.Path(os.path.abspath(root))
    below = [root / name for name in _directories(root)]
    for folder in (*root.parents[:3], *below):
        if all(name and (folder / name).is_dir() for name in names):
            return f"; {str(folder)!r} has both parts: use folder:{folder}"
    return ""


def _directories(folder: pathlib.Path) -> list[str]:
    """The directories that are the user's own, sorted by name."""
    with paths.reading("folder", folder), os.scandir(folder) as entries:
        return sorted(entry.name for entry in _own(entries) if entry.is_dir())


def _own(entries: Iterable[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    """The entries that are neither hidden nor a system's."""
    for entry in entries:
        if not entry.name.startswith(".") and entry.name not in OF_SYSTEMS:
            yield entry


def _classes(train: list[str], test: list[str], data_config: DataConfig) -> list[str]:
    """The classes of both parts, which must be the same unless their number is stated.

    Raises:
      UserError: a part has a class that the other has not, or there are not
        `data.num_classes`.
    """
    classes, stated = sorted({*train, *test}), data_config.num_classes
    if stated:
        if len(classes) != stated:
            raise UserError(
                f"folder: data.num_classes must be the number of class folders, "
                f"{len(classes)}, got {stated}: classes are numbered in the order of "
                "their folders, so each class without images needs an empty one"
            )
        return classes
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
    return classes


def _shown(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _files(part: pathlib.Path, classes: list[str], *, may_be_empty: bool) -> Files:
    files, labels, sizes = [], [], []
    for label, name in enumerate(classes):
        found = list(_images(part / name, name)) if (part / name).is_dir() else []
        if not found and not may_be_empty:
            raise UserError(f"folder: {str(part / name)!r} {_NO_IMAGE}")
        files += [file for file, _ in found]
        sizes += [size for _, size in found]
        labels += [label] * len(found)
    if not files:
        raise UserError(f"folder: {str(part)!r} {_NO_IMAGE}")
    return Files(part, files, np.asarray(labels, np.int32), np.asarray(sizes, np.int64))


def _images(
    folder: pathlib.Path, name: str, above: frozenset[str] = frozenset()
) -> Iterator[tuple[str, int]]:
    """The images of a class: each one's path from the part on, and its size in bytes.

    First those of the folder itself, sorted by name, then those of each folder in it.

    Args:
      folder: of the class, or one in it.
      name: of the folder, from the part on.
      above: the real paths of the folders above it, which a link may lead back to.
    """
    real = os.path.realpath(folder)
    if real in above:
        raise UserError(f"folder: {str(folder)!r} is a link to a folder above it")
    with paths.reading("folder", folder), os.scandir(folder) as entries:
        found = sorted(_own(entries), key=lambda entry: entry.name)
    for entry in found:
        if entry.name.lower().endswith(EXTENSIONS) and not entry.is_dir():
            with paths.reading("folder", folder / entry.name):
                yield f"{name}/{entry.name}", entry.stat().st_size
    for entry in found:
        if entry.is_dir():
            yield from _images(
                folder / entry.name, f"{name}/{entry.name}", above | {real}
            )
