"""Small files, written whole or not at all."""

import contextlib
import json
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from train.base.errors import UserError


def write_whole(path: pathlib.Path, text: str) -> None:
    """Replaces `path` in one step: a kill leaves the old content or the new.

    Raises:
      UserError: it cannot be written.
    """
    temporary = unfinished(path)
    with written(path):
        temporary.write_text(text)
        temporary.replace(path)


def unfinished(path: pathlib.Path) -> pathlib.Path:
    """What a kill in `write_whole` may leave beside `path`."""
    return path.with_name(f".{path.name}.tmp")


def claim(folder: pathlib.Path, option: str, ours: Iterable[str] = ()) -> None:
    """Creates `folder`, or checks that the folder holds nothing of anybody else.

    Args:
      folder: to be written to.
      option: the user's name for it, for the message.
      ours: beginnings of the names of files that may be there already.

    Raises:
      UserError: the folder cannot be created or read, or holds another file.
    """
    with written(folder):
        folder.mkdir(parents=True, exist_ok=True)
        names = sorted(path.name for path in folder.iterdir())
    others = [name for name in names if not name.startswith(tuple(ours))]
    if others:
        raise UserError(
            f"{option} must be a folder of its own, got {folder}, which holds "
            f"{others[0]}"
        )


@contextlib.contextmanager
def written(path: pathlib.Path) -> Iterator[None]:
    """Says of an `OSError` within which file could not be written."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error}") from error


def read_json(path: pathlib.Path) -> Any:
    """What a JSON file holds.

    Raises:
      UserError: it cannot be read.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def to_json(content: Any) -> str:
    return json.dumps(content, indent=2) + "\n"
