"""Files that grow while a command works: lines of metrics, and parts that are finished.

A disk appends. An object in a bucket cannot be changed: lines are uploaded again whole,
now and then, and each part is an object of its own.
"""

import contextlib
import fcntl
import os
import pathlib
import struct
import time
import zlib
from typing import Protocol

from train.base.files import lock
from train.base.files.paths import Path
from train.base.files.whole import reading, whole, written

UPLOAD_EVERY = 30.0  # seconds between two uploads of the same lines
HEADER = struct.Struct("<QI")  # number of bytes that follow, and their checksum


class Lines:
    """A file that begins with `content` and grows at its end.

    On a disk, what `append` adds is in the file when it returns. In a bucket it may be
    in memory for `UPLOAD_EVERY` seconds, until `sync` or until `close`.
    """

    def __init__(self, path: Path, content: bytes = b"") -> None:
        """Replaces the file in one step; `UserError` if it cannot be written."""
        self._path = path
        with whole(path) as file:
            file.write(content)
        self._content, self._uploaded = bytearray(content), time.monotonic()
        self._changed = False
        self._file = None
        if isinstance(path, pathlib.Path):
            with written(path):
                self._file = path.open("ab")

    def append(self, more: bytes) -> None:
        """Adds bytes; `UserError` if they cannot be written."""
        if self._file is not None:
            with written(self._path):
                self._file.write(more)
                self._file.flush()
            return
        self._content += more
        self._changed = True
        if time.monotonic() - self._uploaded > UPLOAD_EVERY:
            self.sync()

    def sync(self) -> None:
        """Uploads what is in memory; on a disk there is nothing to do."""
        if self._changed:
            with whole(self._path) as file:
                file.write(self._content)
            self._uploaded, self._changed = time.monotonic(), False

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self.sync()


class Parts(Protocol):
    """Byte strings that are added one by one, and survive a kill.

    Attributes:
      found: the whole ones that were there when this was opened.
    """

    found: list[bytes]

    def clear(self) -> None:
        """Forgets all parts."""

    def append(self, part: bytes) -> None:
        """Adds a part, which is stored when this returns."""

    def close(self) -> None: ...


def parts(path: Path) -> Parts:
    """Opens the parts at `path`, or begins there.

    On a disk this is one file, in a bucket a folder.

    Raises:
      UserError: they cannot be read or written, or another process has them open.
    """
    if isinstance(path, pathlib.Path):
        return _PartsOfAFile(path)
    return _PartsInABucket(path)


def delete_parts(path: Path) -> None:
    """Deletes the parts at `path`, which no process has open."""
    with written(path):
        if isinstance(path, pathlib.Path):
            path.unlink(missing_ok=True)
        else:
            path.rmtree(missing_ok=True)


class _PartsOfAFile:
    """One file. If a kill leaves an incomplete part at its end, it is cut off."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        with written(path):
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                self._file.close()
                raise lock.Busy(
                    f"{path} is in use by another process: wait until it ends, or stop "
                    "it"
                ) from error
            except OSError:
                pass  # the file system has no locks
            self.found, self._end = _unpacked(self._file.read())

    def clear(self) -> None:
        self.found, self._end = [], 0

    def append(self, part: bytes) -> None:
        content = _packed(part)
        with written(self._path):
            self._file.seek(self._end)
            self._file.truncate()
            self._file.write(content)
            self._file.flush()
            os.fsync(self._file.fileno())
        self._end += len(content)

    def close(self) -> None:
        self._file.close()


class _PartsInABucket:
    """A folder with an object for each part, named by its number."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.found = folder, []
        self._stack = contextlib.ExitStack()
        place = folder.with_name(f".{folder.name}.lock")
        self._stack.enter_context(lock.held(place, folder))
        with reading(folder):
            names = []
            if folder.is_dir():
                names = [path.name for path in folder.iterdir()]
            while self._name(len(self.found)) in names:
                name = self._name(len(self.found))
                whole_ones, _ = _unpacked((folder / name).read_bytes())
                if not whole_ones:
                    break
                self.found += whole_ones
        self._others = set(names) - {self._name(i) for i in range(len(self.found))}
        self._count = len(self.found)

    def clear(self) -> None:
        self._others |= {self._name(i) for i in range(self._count)}
        self.found, self._count = [], 0

    def append(self, part: bytes) -> None:
        with written(self._folder):
            for name in self._others:
                (self._folder / name).unlink(missing_ok=True)
            self._others = set()
            self._folder.mkdir(parents=True, exist_ok=True)
        with whole(self._folder / self._name(self._count)) as file:
            file.write(_packed(part))
        self._count += 1

    def close(self) -> None:
        self._stack.close()

    @staticmethod
    def _name(number: int) -> str:
        return f"{number:08d}"


def _packed(part: bytes) -> bytes:
    return HEADER.pack(len(part), zlib.crc32(part)) + part


def _unpacked(content: bytes) -> tuple[list[bytes], int]:
    """The complete parts at the beginning of a file, and where they end."""
    found, position = [], 0
    while position + HEADER.size <= len(content):
        size, crc = HEADER.unpack_from(content, position)
        start = position + HEADER.size
        part = content[start : start + size]
        if len(part) < size or zlib.crc32(part) != crc:
            break
        found.append(part)
        position = start + size
    return found, position
