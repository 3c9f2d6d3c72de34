"""The runs of a page: their names, and how charts draw each of them."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from train.base import files
from train.base.files.paths import absolute
from train.reports.page.reading import Folder

COLORS, DASHES, SHAPES = 7, 4, 7  # of style.css, of style.css, of charts/marks.py
# Fields that do not make a setting another one: the seed, where the data lie, and those
# of settings.WITHOUT_EFFECT, which cannot be imported without JAX.
REPEATED = (
    "seed", "data.data_dir", "name", "mesh", "fsdp", "accumulate", "model.remat",
    "log_every", "checkpoint_every", "keep_checkpoints", "data.threads",
    "teacher.cache",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Look:
    """How charts draw a run: runs that differ by their seed alone share a colour.

    Attributes:
      color: in [0, COLORS).
      dash: of its lines, in [0, DASHES).
      shape: of its marks, in [0, SHAPES).
    """

    color: int = 0
    dash: int = 0
    shape: int = 0

    @property
    def class_(self) -> str:
        """The classes of style.css."""
        return f"c{self.color} d{self.dash}"


@dataclasses.dataclass(frozen=True)
class Run:
    """A run on the page.

    Attributes:
      name: that no other run of the page has.
      folder: what its folder holds.
      look: of its lines and marks.
      setting: the number of its setting, which all its seeds share.
    """

    name: str
    folder: Folder
    look: Look
    setting: int


def arranged(folders: Sequence[Folder]) -> list[Run]:
    """Names the runs, and gives each a look.

    >>> [run.name for run in arranged([Folder(pathlib.Path("a/x"))])]
    ['x']
    """
    names = _names([folder.path for folder in folders])
    settings, members, runs = list[str](), dict[int, int](), []
    for name, folder in zip(names, folders, strict=True):
        key = _setting(folder)
        if key not in settings:
            settings.append(key)
        setting = settings.index(key)
        member = members.setdefault(setting, 0)
        members[setting] += 1
        runs.append(Run(name, folder, _look(setting, member), setting))
    return runs


def _look(setting: int, member: int) -> Look:
    dash = member + setting // COLORS  # when colours begin again, dashes are others
    return Look(setting % COLORS, dash % DASHES, setting % SHAPES)


def _setting(folder: Folder) -> str:
    """The same text for runs that repeat each other."""
    if not folder.config:
        return str(folder.path)
    kept = {
        name: value for name, value in folder.config.items() if name not in REPEATED
    }
    return json.dumps(kept, sort_keys=True, default=str)


def differing(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """The fields whose values differ between runs, each with the value of each run.

    A field that a run's config lacks is None there. The name of the config is left out.
    """
    configs = [run.folder.config for run in runs if run.folder.config]
    fields = dict.fromkeys(field for config in configs for field in config)
    fields.pop("name", None)  # it follows from the others
    if "seed" in fields:
        fields["seed"] = fields.pop("seed")  # comes last
    values = {field: [_value(run, field) for run in runs] for field in fields}
    known = {field: [_text(c, field) for c in configs] for field in fields}
    return {field: values[field] for field in fields if len(set(known[field])) > 1}


def _value(run: Run, field: str) -> Any:
    return run.folder.config.get(field)


def _text(config: Mapping[str, Any], field: str) -> str:
    return json.dumps(config.get(field), sort_keys=True, default=str)


def _names(paths: Sequence[files.Path]) -> list[str]:
    """The last parts of the paths, as many as tell them apart."""
    parts = [pathlib.PurePosixPath(str(absolute(path))).parts for path in paths]
    for count in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def once(paths: Sequence[files.Path]) -> tuple[list[files.Path], list[files.Path]]:
    """The paths without repetitions, and those that are named again."""
    seen: dict[files.Path, files.Path] = {}
    again = []
    for path in paths:
        key = absolute(path)
        if key in seen:
            again.append(path)
        seen.setdefault(key, path)
    return list(seen.values()), again
