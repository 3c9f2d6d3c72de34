"""Paths that a user names: local ones, and URLs of a bucket.

`~` is the home folder. A URL is read and written by `etils.epath`, through the client
library of its store.
"""

import glob
import importlib.util
import logging
import os
import pathlib
import re
from collections.abc import Iterable, Iterator

from etils import epath
from etils.epath.gpath import PosixGPath

from train.base.errors import UserError

Path = pathlib.Path | epath.Path  # a local path, or a URL of a bucket

# The stores that epath knows, and the package that each of them needs.
CLIENTS = {"gs": "gcsfs", "s3": "s3fs", "az": "adlfs", "hf": "huggingface_hub"}
OF_CHECKPOINTS = ("gs",)  # the stores to which Orbax can write
# "gs:/x" is a mistyped URL rather than a folder named "gs:".
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/")
PATTERN = "*?[]"  # clients of stores take these characters for patterns


def named(text: str, what: str, schemes: Iterable[str] = tuple(CLIENTS)) -> Path:
    """The path that the user names.

    Args:
      text: a local path, or a URL.
      what: the flag or field, for the message.
      schemes: the beginnings of URLs that are allowed.

    Raises:
      UserError: it is no path, a URL of another kind, or a URL whose client library is
        not installed.
    """
    if not text or "\0" in text:
        raise UserError(f"{what} must be a path, got {text!r}")
    if text.startswith("--"):  # a flag without a value takes the next one for it
        raise UserError(
            f"{what} must be a path, got {text}, which looks like a flag; of a folder "
            f"with this name write ./{text}"
        )
    if scheme := URL.match(text):
        return _of_bucket(text, scheme[1].lower(), what, list(schemes))
    try:
        return pathlib.Path(text).expanduser()
    except RuntimeError as error:
        raise UserError(f"{what}={text}: {error}") from error


def of_run(text: str, what: str) -> Path:
    """As `named`, of a folder with checkpoints."""
    return named(text, what, OF_CHECKPOINTS)


def local(text: str, what: str) -> pathlib.Path:
    """As `named`, but URLs are refused."""
    path = named(text, what, ())
    assert isinstance(path, pathlib.Path)
    return path


def against(text: str, directory: str) -> str:
    """What a relative path is when it is relative to a directory.

    >>> against("data/x.npz", "/home/me"), against("gs://b/x", "/home/me")
    ('/home/me/data/x.npz', 'gs://b/x')
    """
    if not text or text.startswith("~") or URL.match(text):
        return text
    return os.path.join(directory, text)


def is_local(path: Path) -> bool:
    return isinstance(path, pathlib.Path)


def _of_bucket(text: str, scheme: str, what: str, schemes: list[str]) -> epath.Path:
    if scheme not in schemes or not text.startswith(f"{scheme}://"):
        urls = [f"a URL that begins with {each}://" for each in schemes]
        allowed = " or ".join(["a local path", *urls])
        raise UserError(f"{what} must be {allowed}, got {text}")
    if set(PATTERN) & set(text):
        raise UserError(
            f"{what}: a URL must not hold any of {' '.join(PATTERN)}, got {text}"
        )
    bucket = text.removeprefix(f"{scheme}://").partition("/")[0]
    if not bucket:
        raise UserError(f"{what}: a URL must name a bucket, got {text}")
    _check_client(scheme, f"{what}={text}")
    return epath.Path(text)


def _check_client(scheme: str, given: str) -> None:
    if importlib.util.find_spec("tensorflow"):
        return  # epath uses TensorFlow's file systems, where it is installed
    import fsspec
    from fsspec.config import conf

    protocol = {"gs": "gcs"}.get(scheme, scheme)
    # A list of files that was kept would lack what another process has written since.
    conf.setdefault(protocol, {})["use_listings_cache"] = False
    # What fails is raised, and becomes one sentence; gcsfs prints it as well.
    logging.getLogger(CLIENTS[scheme]).setLevel(logging.CRITICAL)
    try:
        fsspec.get_filesystem_class(protocol)
    except (ImportError, ValueError) as error:
        package = CLIENTS[scheme]
        raise UserError(
            f"{given}: {scheme}:// needs {package}: pip install {package}"
        ) from error


class _Literal(PosixGPath):
    """A path whose `glob` takes its argument alone for a pattern.

    That of epath takes the characters * ? [ ] of the folder's own name for a pattern
    too. Orbax then finds none of the parts that it has written.
    """

    def glob(self, pattern: str) -> Iterator["_Literal"]:
        for path in PosixGPath(glob.escape(os.fspath(self))).glob(pattern):
            yield type(self)(path)


def absolute(path: Path) -> Path:
    return path.resolve() if isinstance(path, pathlib.Path) else path


def for_orbax(path: Path) -> epath.Path:
    """The path in the form that Orbax needs."""
    return _Literal(path) if isinstance(path, pathlib.Path) else path
