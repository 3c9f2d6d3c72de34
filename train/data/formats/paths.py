"""Files and folders that the user names, with one sentence for each problem."""

import contextlib
import pathlib
from collections.abc import Iterator

from train.base.errors import UserError


def existing_file(source: str, argument: str) -> pathlib.Path:
    """The file that `data.source=SOURCE:ARGUMENT` names."""
    path = pathlib.Path(argument).expanduser()
    if not path.is_file():
        raise UserError(f"{source}: there is no file {str(path)!r}")
    return path


def existing_folder(source: str, argument: str, hint: str = "") -> pathlib.Path:
    """The folder that `data.source=SOURCE:ARGUMENT` names; `hint` ends the message."""
    path = pathlib.Path(argument).expanduser()
    if not path.is_dir():
        raise UserError(f"{source}: there is no folder {str(path)!r}{hint}")
    return path


@contextlib.contextmanager
def reading(source: str, path: pathlib.Path) -> Iterator[None]:
    """Turns an `OSError` into the sentence that `path` cannot be read, and why."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{source}: {str(path)!r} cannot be read: {error.strerror}"
        ) from error
