"""One run among many: its folder, its config, and the commands that make it."""

import json
import re
import shlex
import sys
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from train.base import files
from train.base.config import Config

LONGEST = 150  # characters of a folder's name; file systems take 255 bytes


class Cell(NamedTuple):
    """One run of a sweep.

    Attributes:
      name: of its folder.
      config: the file, with its options after a colon.
      overrides: flags `--config.FIELD=VALUE`.
      evaluations: the flags of each `python -m train.evaluate` that judges the run.
      fields: the JSON of the config that this comes to; a folder that was made with
        another config is refused. Empty: any config is accepted.
    """

    name: str
    config: str
    overrides: tuple[str, ...] = ()
    evaluations: tuple[tuple[str, ...], ...] = ()
    fields: Mapping[str, Any] = {}


def fields_of(config: Config) -> dict[str, Any]:
    """The fields of a config, as its JSON has them."""
    return json.loads(config.to_json())


def folder_name(settings: Mapping[str, object]) -> str:
    """The name of a run's folder, of what distinguishes it from the others.

    A checksum is added where the name cannot hold all of it.

    >>> folder_name({"loss": "kl", "seed": 0})
    'loss=kl,seed=0'
    >>> folder_name({"data.source": "idx:/data/a"})
    'data.source=idx_data_a,31cecbfe'
    """
    whole = ",".join(f"{name}={value}" for name, value in settings.items())
    plain = re.sub(r"[^\w.=,+-]+", "_", whole, flags=re.ASCII)
    if plain == whole and len(whole) <= LONGEST:
        return whole
    return f"{plain[:LONGEST]},{zlib.crc32(whole.encode()):08x}"


def train_arguments(cell: Cell, folder: files.Path) -> list[str]:
    """What follows `python` to make the run."""
    return ["-m", "train", f"--config={cell.config}", *cell.overrides,
            f"--workdir={folder}"]  # fmt: skip


def evaluate_arguments(arguments: Sequence[str], folder: files.Path) -> list[str]:
    """What follows `python` to judge a run."""
    return ["-m", "train.evaluate", f"--workdir={folder}", *arguments]


def shell_line(cell: Cell, folder: files.Path) -> str:
    """The run and its evaluations as one line of a shell."""
    commands = [train_arguments(cell, folder)]
    commands += [evaluate_arguments(each, folder) for each in cell.evaluations]
    return " && ".join(shlex.join([sys.executable, *each]) for each in commands)
