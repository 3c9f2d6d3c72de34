"""A config as a file that `python -m train --config=` loads, without any other file."""

import pathlib
import pprint
from collections.abc import Mapping
from typing import Any

from train.base import files

TEMPLATE = '''"""{title}

    python -m train --config={path} --workdir=runs/best

The option `:test` evaluates on the test part, once a choice is made.
"""

import json

from ml_collections import ConfigDict

# These fields the search has chosen.
CHOSEN = {chosen}

FIELDS = json.loads("""
{fields}
""")


def get_config(argument: str = "") -> ConfigDict:
    if argument not in ("", "test"):
        raise ValueError(f"unknown config argument {{argument!r}}; known: test")
    config = ConfigDict(FIELDS)
    config.update_from_flattened_dict(CHOSEN)
    if argument:
        config.data.evaluate_on = "test"
    return config
'''


def write(
    path: pathlib.Path,
    title: str,
    fields: Mapping[str, Any],
    chosen: Mapping[str, Any],
) -> None:
    """Writes the file.

    Args:
      path: of the file.
      title: the first line of its docstring, a sentence.
      fields: all fields of the config, as its JSON has them.
      chosen: dotted fields with the values that replace those.
    """
    text = TEMPLATE.format(
        title=title, path=path, chosen=pprint.pformat(dict(chosen), width=80),
        fields=files.to_json(fields).rstrip().replace("\\", "\\\\"),
    )  # fmt: skip
    files.write_whole(path, text)
