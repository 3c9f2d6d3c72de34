"""The log of a run, `metrics.jsonl`: one JSON object a line, each with its `step`."""

import json
from typing import Any

from train.base import files

NAME = "metrics.jsonl"


def texts(workdir: files.Path) -> list[str]:
    """The lines of a run's log as they are; none if there is no log.

    Raises:
      UserError: it cannot be read.
    """
    path = workdir / NAME
    with files.reading(path):
        content = path.read_bytes() if path.exists() else b""
    return content.decode(errors="replace").splitlines()


def line(text: str) -> dict[str, Any] | None:
    """The metrics in a line; None if it is damaged."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(found, dict) and type(found.get("step")) is int
    return found if whole else None
