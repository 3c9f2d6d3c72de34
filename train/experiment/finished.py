"""The result of a finished run: `result.json`, which `train.training.result` makes."""

from collections.abc import Mapping
from typing import Any

from train.base import contents, files

FILE = "result.json"


def read(workdir: files.Path, **kinds: Any) -> dict[str, Any] | None:
    """What a run's `result.json` holds; None: the run has not finished.

    Args:
      workdir: of the run.
      kinds: of the fields that it must have.

    Raises:
      UserError: the file cannot be read, or is no result.
    """
    path = workdir / FILE
    if not path.exists():
        return None
    return contents.check_object(path, files.read_json(path), **kinds)


def write(workdir: files.Path, result: Mapping[str, Any]) -> None:
    files.write_whole(workdir / FILE, files.to_json(result))
