"""Small files, written whole or not at all.

On a disk, a file is written under another name and then renamed. A bucket has no such
rename, and needs none: an object appears when its upload is complete.
"""

import contextlib
import json
import pathlib
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Any

from etils import epath

from train.base.errors import UserError
from train.base.files.paths import Path, is_local

IN_MEMORY = 1 << 26  # bytes of a file for a bucket that are kept in memory


def write_whole(path: Path, text: str) -> None:
    """Replaces `path` in one step: a kill leaves the old content or the new.

    Raises:
      UserError: it cannot be written.
    """
    with whole(path) as file:
        file.write(text.encode())


@contextlib.contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """Yields a binary file that can be sought in; it becomes `path` at the end.

    If the block raises, `path` stays as it was.

    Raises:
      UserError: it cannot be written.
    """
    if isinstance(path, pathlib.Path):
        temporary = unfinished(path)
        with written(path):
            with temporary.open("wb") as file:
                yield file
            temporary.replace(path)
        return
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
        yield file
        file.seek(0)
        with written(path), path.open("wb") as upload:
            while block := file.read(IN_MEMORY):
                upload.write(block)  # type: ignore[arg-type]


def unfinished(path: pathlib.Path) -> pathlib.Path:
    """What a kill in `write_whole` may leave beside `path`."""
    return path.with_name(unfinished_name(path.name))


def unfinished_name(name: str) -> str:
    return f".{name}.tmp"


def move(source: Path, target: Path) -> None:
    """Moves a file or a folder to a place where nothing is.

    Raises:
      UserError: it cannot be moved.
    """
    with written(target):
        if isinstance(source, pathlib.Path):
            source.rename(target)
            return
        _copy(source, target)
        source.rmtree()


def _copy(source: epath.Path, target: Path) -> None:
    if source.is_dir():
        for path in list(source.iterdir()):
            _copy(path, target / path.name)
    else:
        with whole(target) as file:
            file.write(source.read_bytes())


@contextlib.contextmanager
def local_copy(path: Path) -> Iterator[pathlib.Path]:
    """Yields `path`, or a copy of it on a disk, for readers that know no bucket.

    Raises:
      UserError: it cannot be read.
    """
    if isinstance(path, pathlib.Path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / path.name
        with reading(path), path.open("rb") as source, copy.open("wb") as target:
            while block := source.read(IN_MEMORY):
                target.write(block)  # type: ignore[arg-type]
        yield copy


def claim(folder: Path, option: str, ours: Iterable[str] = ()) -> None:
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
        # In a bucket, an empty folder does not exist.
        inside = folder.iterdir() if folder.is_dir() else ()
        names = sorted(path.name for path in inside)
    others = [name for name in names if not name.startswith(tuple(ours))]
    if others:
        raise UserError(
            f"{option} must be a folder of its own, got {folder}, which holds "
            f"{others[0]}"
        )


def unused(path: Path) -> Path:
    """`path` if nothing is there, else with the first number that makes it unused."""
    number, candidate = 1, path
    while candidate.exists():
        number, candidate = number + 1, path.with_name(f"{path.name}.{number}")
    return candidate


@contextlib.contextmanager
def written(path: Path) -> Iterator[None]:
    """Turns an `OSError` into the sentence that `path` cannot be written, and why."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"cannot write {path}: {error}") from error
    except Exception as error:
        if is_local(path):
            raise
        # Clients of stores raise errors of many kinds: no permission, no connection.
        raise UserError(
            f"cannot write {path}: {type(error).__name__}: {error}"
        ) from error


@contextlib.contextmanager
def reading(path: Path, what: str = "") -> Iterator[None]:
    """Turns any error into the sentence that `path` cannot be read, and why.

    A damaged or foreign file can raise errors of any kind: there is no list of those
    that zip, zlib, NumPy and JSON raise.

    Args:
      path: of the file.
      what: what the file should be: " as ...".
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines()
        reason = lines[0][:200] if lines else type(error).__name__
        raise UserError(f"{path} cannot be read{what}: {reason}") from error


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
      UserError: it cannot be read.
    """
    with reading(path):
        return json.loads(path.read_text())


def to_json(content: Any) -> str:
    return json.dumps(content, indent=2) + "\n"
