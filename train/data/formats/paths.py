"""Files and folders that the user names, with one sentence for each problem."""

import contextlib
import pathlib
from collections.abc import Iterator

from train.base import files
from train.base.errors import UserError
from train.base.files import Path


def existing_file(source: str, argument: str) -> Path:
    """The file that `data.source=SOURCE:ARGUMENT` names."""
    path = files.named(argument, f"data.source={source}:FILE")
    with files.reading(path):
        there = path.is_file()
    if not there:
        raise UserError(f"{source}: there is no file {str(path)!r}")
    return path


def existing_folder(source: str, argument: str) -> Path:
    """The folder that `data.source=SOURCE:ARGUMENT` names."""
    return _existing(source, files.named(argument, f"data.source={source}:DIR"))


def local_folder(source: str, argument: str) -> pathlib.Path:
    """As `existing_folder`, for sources that read too many files for a bucket."""
    folder = files.local(argument, f"data.source={source}:DIR")
    _existing(source, folder)
    return folder


def unpacked(source: str, argument: str, name: str) -> Path:
    """The folder of the unpacked archive, given itself or the one that holds it."""
    given = files.named(argument, f"data.source={source}:DIR")
    with files.reading(given):
        folder = given / name if (given / name).is_dir() else given
    return _existing(source, folder, f"; it must be the unpacked {name}, or hold it")


def _existing(source: str, folder: Path, hint: str = "") -> Path:
    with files.reading(folder):
        there = folder.is_dir()
    if not there:
        raise UserError(f"{source}: there is no folder {str(folder)!r}{hint}")
    return folder


@contextlib.contextmanager
def reading(source: str, path: pathlib.Path) -> Iterator[None]:
    """Turns an `OSError` into the sentence that `path` cannot be read, and why."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{source}: {str(path)!r} cannot be read: {error.strerror}"
        ) from error
