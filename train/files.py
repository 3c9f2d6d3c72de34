"""Small files, written whole or not at all."""

import json
import pathlib
from typing import Any


def write_whole(path: pathlib.Path, text: str) -> None:
    """Replaces `path` in one step: a kill leaves the old content or the new."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    temporary.replace(path)


def to_json(content: Any) -> str:
    return json.dumps(content, indent=2) + "\n"
