"""Folders of runs, as a user names them: what each holds for a comparison.

A folder that is no run, but holds folders of runs, such as that of a sweep, stands for
these.
"""

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from train.base import contents, files
from train.base.errors import UserError
from train.base.files import lock
from train.evaluation import records
from train.experiment import finished, settings
from train.reports import rows
from train.reports.rows import Record

CONFIG, SWEEP = "config.json", "sweep.json"


class RunFiles(NamedTuple):
    """What a folder holds.

    Attributes:
      folder: as it was named.
      result: of the finished run; None: there is none.
      records: of `train.evaluate`.
      fields: the dotted fields of its config; None: weights without a run.
    """

    folder: str
    result: Record | None
    records: Sequence[Record]
    fields: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        return pathlib.Path(self.folder).name


class Found(NamedTuple):
    """Runs to compare, and sentences about what was left out."""

    runs: list[RunFiles]
    notes: list[str]


def found(folders: Iterable[str]) -> Found:
    """What the folders hold.

    Raises:
      UserError: a folder is neither a finished or evaluated run nor a folder of runs,
        or a file cannot be read.
    """
    runs: list[RunFiles] = []
    notes: list[str] = []
    for folder in dict.fromkeys(folders):
        path = files.named(folder, "a folder of a run")
        inside = [] if _is_run(path) else _runs_in(path)
        if not inside:
            runs.append(read(folder, path))
        for each in inside:
            if (each / finished.FILE).exists():
                runs.append(read(str(each), each))
            else:
                notes.append(f"{each.name} is {_unfinished(each)}, and is left out")
    if not runs:
        raise UserError(f"no run has finished yet: {'; '.join(notes)}")
    return Found(runs, notes)


def read(folder: str, path: files.Path) -> RunFiles:
    """What one folder holds.

    Raises:
      UserError: it has no result and no record, or a file cannot be read.
    """
    stored = records.read(path)
    for name, record in stored.items():
        rows.check(f"{path / records.FILE}: the record {name!r}", record)
    result = finished.read(path)
    if result is not None:
        rows.check(path / finished.FILE, result, steps=int, seconds=float)
    elif not stored:
        raise UserError(_why_no_result(path))
    fields = None
    if (path / CONFIG).exists():
        config = settings.load(path).to_dict()  # type: ignore[attr-defined]
        fields = dict(settings.flat(config))
    return RunFiles(folder, result, list(stored.values()), fields)


def _why_no_result(path: files.Path) -> str:
    problem = f"no finished run: there is no {path / finished.FILE}"
    return f"{problem}; the run is {_unfinished(path)}" if _is_run(path) else problem


def _is_run(path: files.Path) -> bool:
    names = (CONFIG, finished.FILE, records.FILE)
    return any((path / name).exists() for name in names)


def _runs_in(path: files.Path) -> list[files.Path]:
    """The folders of runs in a folder, a sweep's in the order of the sweep."""
    with files.reading(path):
        inside = sorted(path.iterdir()) if path.is_dir() else []
        begun = [each for each in inside if each.is_dir() and (each / CONFIG).exists()]
    planned = [path / name for name in sweep_runs(path)]
    return [*planned, *(each for each in begun if each not in planned)]


def sweep_runs(path: files.Path) -> list[str]:
    """The names of a sweep's runs, in its order; empty: the folder is no sweep's.

    Raises:
      UserError: its `sweep.json` is damaged.
    """
    if not (path / SWEEP).exists():
        return []
    content = files.read_json(path / SWEEP)
    return contents.check_object(path / SWEEP, content, runs=Sequence[str])["runs"]


def _unfinished(path: files.Path) -> str:
    """What a run without a result is doing."""
    if lock.is_held(path / settings.LOCK):
        return "going on"
    return "not finished" if (path / CONFIG).exists() else "not begun"
