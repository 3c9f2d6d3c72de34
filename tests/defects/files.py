"""Defects of paths, of files on disks and in buckets, and of locks."""

from tests.defects.defect import Defect

PATHS = ("tests/train/base/test_paths.py",)
GROWING = ("tests/train/base/test_growing.py",)
LOCK = ("tests/train/base/test_lock.py",)
LOCATED = ("tests/train/experiment/test_located.py",)

DEFECTS = [
    Defect(
        "a URL of a store that takes no checkpoints is a workdir",
        "train/base/files",
        'if scheme not in schemes or not text.startswith(f"{scheme}://"):',
        "if scheme not in CLIENTS:",
        PATHS,
    ),
    Defect(
        "brackets in a folder's name are a pattern",
        "train/base/files",
        "PosixGPath(glob.escape(os.fspath(self)))",
        "PosixGPath(os.fspath(self))",
        PATHS,
    ),
    Defect(
        "brackets in a name are taken for markup",
        "train/base",
        "_Plain(markup=False, emoji=False",
        "_Plain(emoji=False",
        PATHS,
    ),
    Defect(
        "a file on a disk is not replaced but overwritten",
        "train/base/files",
        "        temporary = unfinished(path)\n",
        "        temporary = path\n",
        GROWING,
    ),
    Defect(
        "lines that are in memory are not uploaded before a checkpoint",
        "train/base/files",
        "        if self._changed:\n",
        "        if self._changed and time.monotonic() < self._uploaded:\n",
        GROWING,
    ),
    Defect(
        "a lock on a file that was deleted counts",
        "train/base/files",
        "                continue\n            yield file",
        "                pass\n            yield file",
        LOCK,
    ),
    Defect(
        "a lock in a bucket is taken over although its owner is alive",
        "train/base/files",
        "while before and time.monotonic() - start < PATIENCE:",
        "while before and time.monotonic() - start < -PATIENCE:",
        LOCK,
    ),
    Defect(
        "whoever writes last does not get the lock of a bucket",
        "train/base/files",
        "        if not self._is_ours(now := self._read()):\n",
        "        if not self._is_ours(now := self._read()) and not now:\n",
        LOCK,
    ),
    Defect(
        "relative paths of a run are relative to the current directory",
        "train/experiment",
        'if not isinstance(directory, str) or directory in ("", os.getcwd()):',
        "if True:",
        LOCATED,
    ),
]
