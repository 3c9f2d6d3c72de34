"""Keeps two processes from working in one folder.

On a disk the operating system holds the lock, and releases it when the process ends,
however that happens. It holds between machines too where the file system has locks.

A bucket has none. There a process writes an object again every `BEAT` seconds. Another
one that finds the object watches it for `PATIENCE` seconds: if the object changes, its
owner is alive; if not, its owner has crashed, and the lock is taken over. This compares
no clocks. It is weaker: of two processes that begin within `SETTLE` seconds one gives
up, but a process that could not reach the bucket for longer than `PATIENCE` may lose
its lock. It stops at the next `check`, which a run makes before each checkpoint.
"""

import contextlib
import fcntl
import os
import pathlib
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from typing import IO

from train.base.errors import UserError
from train.base.files.paths import Path
from train.base.files.whole import reading, write_whole, written

BEAT = 10.0  # seconds
PATIENCE = 40.0
SETTLE = 2.0


class Busy(UserError):
    """Another process holds the lock."""


class Lock:
    """A lock that is held; on a disk it cannot be lost."""

    def check(self) -> None:
        """Raises `UserError` if another process has taken the lock over."""


@contextlib.contextmanager
def held(path: Path, folder: Path) -> Iterator[Lock]:
    """Holds the lock of a folder, if no other process does.

    Args:
      path: of the lock's file, which is there while the lock is held.
      folder: for the message.

    Raises:
      Busy: another process holds it.
    """
    if isinstance(path, pathlib.Path):
        with _of_a_file(path, folder):
            yield Lock()
        return
    lease = _Lease(path, folder)
    lease.take()
    try:
        yield lease
    finally:
        lease.release()


def is_held(path: Path) -> bool:
    """Whether a process holds a lock; of a bucket's, whether its object is there.

    Nothing is written: the file of a process that was killed stays.
    """
    if not isinstance(path, pathlib.Path) or not path.exists():
        return path.exists()
    with reading(path), path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # the file system has no locks
            return False
    return False


@contextlib.contextmanager
def awaited(path: Path, folder: Path) -> Iterator[None]:
    """As `held`, for work of seconds: waits until the other processes are done."""
    if isinstance(path, pathlib.Path):
        with written(path):
            file = path.open("w")
        with file:
            # Where a file system has no locks, the work is done without one.
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
        return
    while True:
        with contextlib.suppress(Busy), held(path, folder):
            yield
            return


@contextlib.contextmanager
def _of_a_file(path: pathlib.Path, folder: Path) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(_locked(path))
        except BlockingIOError as error:
            raise _busy(folder, path) from error
        except OSError:  # the folder is not writable, or its file system has no locks
            file = None
        if file is not None:
            with contextlib.suppress(OSError):  # a full disk: then nobody is named
                file.truncate(0)
                file.write(_owner())
                file.flush()
        try:
            yield
        finally:
            if file is not None:
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[IO[str]]:
    """The open file, locked; `BlockingIOError` if another process has locked it."""
    while True:
        with path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The last owner may have deleted the file after it was opened here.
            if not path.exists() or not os.path.samestat(
                path.stat(), os.fstat(file.fileno())
            ):
                continue
            yield file
            return


class _Lease(Lock):
    """An object in a bucket that its owner writes again and again."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self._folder = path, folder
        self._token, self._beats = uuid.uuid4().hex, 0
        self._lost_to = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def take(self) -> None:
        """Raises `UserError` if another process has the lock."""
        before, start = self._read(), time.monotonic()
        while before and time.monotonic() - start < PATIENCE:
            time.sleep(BEAT / 5)
            if (now := self._read()) != before:
                if now:
                    raise _busy(self._folder, now)
                break
        self._write()
        time.sleep(SETTLE)
        if not self._is_ours(now := self._read()):
            raise _busy(self._folder, now)
        self._thread.start()

    def check(self) -> None:
        if self._lost_to:
            raise _busy(self._folder, self._lost_to)

    def release(self) -> None:
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(UserError):
            if self._is_ours(self._read()):
                with reading(self._path):
                    self._path.unlink()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            with contextlib.suppress(UserError):  # the next beat may reach the bucket
                now = self._read()
                if now and not self._is_ours(now):
                    self._lost_to = now
                    return
                self._write()

    def _is_ours(self, content: str) -> bool:
        return content.endswith(self._token)

    def _read(self) -> str:
        with reading(self._path):
            return self._path.read_text() if self._path.exists() else ""

    def _write(self) -> None:
        self._beats += 1
        write_whole(self._path, f"{_owner()} {self._beats} {self._token}")


def _owner() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _busy(folder: Path, content: str | pathlib.Path) -> Busy:
    if isinstance(content, pathlib.Path):
        try:
            content = content.read_text(errors="replace")
        except OSError:  # its owner has just ended
            content = ""
    owner = " ".join(content.split()[:4]) or "another process"
    return Busy(
        f"{folder} is in use by {owner}: wait until it ends, or stop it; its lock ends "
        "with it"
    )
