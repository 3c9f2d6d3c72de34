"""Small files, written whole or not at all."""

import json
import pathlib
from typing import Any

from train.errors import UserError


def write_whole(path: pathlib.Path, text: str) -> None:
    """Replaces `path` in one step: a kill leaves the old content or the new."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    temporary.replace(path)


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
