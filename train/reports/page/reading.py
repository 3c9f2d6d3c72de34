"""Reads the folder of a run for the page: what is damaged is said, and left out."""

import dataclasses
import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from train.base import contents, files
from train.base.errors import UserError
from train.base.files import lock
from train.experiment import finished, metrics_log
from train.reports import rows

CONFIG, RECORDS, EXAMPLES = "config.json", "evaluation.json", "examples.png"
OF_A_RUN = (CONFIG, RECORDS)  # a folder that has one of them is that of a run
LOCK = ".train.lock"  # held while a process trains; its file stays after a kill
DIRECTORY = "relative_to"  # the entry of config.json that is no field

# Fields that a config, a result or a record may lack, but that the page reads.
OF_CONFIG = {"epochs": int, "steps_per_epoch": int}
OF_RECORD = {
    "norm": str, "version": str, "epsilon": float, "per_example": str, "epochs": int,
    "weights_file": str, "versions": Mapping[str, str], "notes": Sequence[str],
    "curve": Mapping[str, Sequence[float]], "model": str,
}  # fmt: skip

Record = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Folder:
    """What the folder of a run holds.

    Attributes:
      path: of the folder.
      config: the fields of the run's config, by dotted names; empty: unknown.
      directory: where the command was started; "": unknown.
      result: of the run; None: it has not finished.
      records: of its evaluations, by name.
      lines: of its log, in their order.
      written: when the log was last written to; None: there is no log.
      training: whether a process holds the lock of training.
      examples: the picture of the run, PNG; None: there is none.
      notes: what is damaged or missing, a sentence each.
    """

    path: files.Path
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    directory: str = ""
    result: Record | None = None
    records: Mapping[str, Record] = dataclasses.field(default_factory=dict)
    lines: Sequence[Mapping[str, Any]] = ()
    written: datetime.datetime | None = None
    training: bool = False
    examples: bytes | None = None
    notes: Sequence[str] = ()

    @property
    def finished(self) -> bool:
        """Whether the run has trained all epochs of its config."""
        epochs = self.config.get("epochs")
        return self.result is not None and self.result.get("epochs", epochs) == epochs

    @property
    def unfinished(self) -> bool:
        """Whether the run is known not to have finished."""
        damaged = self.result is None and (self.path / finished.FILE).exists()
        return bool(self.config) and not self.finished and not damaged

    @property
    def last_step(self) -> int:
        """The last step in the log; 0: there is none."""
        return max((line["step"] for line in self.lines), default=0)

    def measures(self) -> dict[str, Record]:
        """The records of measures, by the names of the records."""
        return {key: found for key, found in self.records.items() if "measure" in found}

    def sources(self) -> list[Record]:
        """The result, if there is one, and all records."""
        return [*([] if self.result is None else [self.result]), *self.records.values()]


def read(path: files.Path) -> Folder:
    """What the folder of a run holds.

    Raises:
      UserError: it holds no run and no evaluation.
    """
    with files.reading(path):
        if not path.is_dir():
            raise UserError(f"{path} is no folder of a run: there is no such folder")
        there = [name for name in OF_A_RUN if (path / name).exists()]
    if not there:
        raise UserError(
            f"{path} holds no run: there is neither {CONFIG} nor {RECORDS} in it"
        )
    notes: list[str] = []
    config, directory = _config(path, notes)
    result, lines = _result(path, notes), _lines(path, notes)
    return Folder(
        path, config, directory, result, _records(path, notes), lines, _written(path),
        lock.is_held(path / LOCK), _examples(path, notes), notes,
    )  # fmt: skip


def runs_in(path: files.Path) -> list[files.Path]:
    """The folders of runs in a folder, such as that of a sweep, or else the folder.

    Raises:
      UserError: it cannot be read.
    """
    with files.reading(path):
        if not path.is_dir() or any((path / name).exists() for name in OF_A_RUN):
            return [path]
        inside = sorted(path.iterdir(), key=_as_people_sort)
        found = [each for each in inside if each.is_dir() and (each / CONFIG).exists()]
    return found or [path]


def _as_people_sort(path: files.Path) -> list[tuple[int, str]]:
    """Puts `run_2` before `run_10`."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def arrays(folder: Folder, record: Record, names: Iterable[str]) -> dict[str, Any]:
    """Those of the named arrays that the per-example file of a record has.

    Raises:
      UserError: the file is not there, or cannot be read.
    """
    if not isinstance(name := record.get("per_example"), str):
        return {}
    path = folder.path / name
    with (
        files.reading(path),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as found,
    ):
        return {each: found[each] for each in names if each in found}


def _config(path: files.Path, notes: list[str]) -> tuple[dict[str, Any], str]:
    file = path / CONFIG
    if not file.exists():
        notes.append(f"There is no {CONFIG}: how the weights were trained is unknown.")
        return {}, ""
    try:
        content = contents.check_object(file, files.read_json(file), name=str)
        _check_optional(file, content, OF_CONFIG)
    except UserError as error:
        notes.append(_sentence(error))
        return {}, ""
    directory = content.pop(DIRECTORY, "")
    return dict(flat(content)), directory if isinstance(directory, str) else ""


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """The dotted names of all fields of a config, and their values."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _check_optional(where: Any, content: Record, kinds: Mapping[str, Any]) -> None:
    """Raises `UserError` for a field of another kind than the page can show."""
    there = {name: kind for name, kind in kinds.items() if name in content}
    contents.check_object(where, content, **there)
    stages = content.get("stages", [])
    if not isinstance(stages, list) or not all(isinstance(s, dict) for s in stages):
        raise UserError(f"{where}: stages must be a list of objects")


def _result(path: files.Path, notes: list[str]) -> Record | None:
    try:
        result = finished.read(path)
        if result is not None:
            rows.check(path / finished.FILE, result, steps=int, seconds=float)
            _check_optional(path / finished.FILE, result, OF_RECORD)
        return result
    except UserError as error:
        notes.append(_sentence(error))
        return None


def _records(path: files.Path, notes: list[str]) -> dict[str, Record]:
    """The whole records, in the order of the file."""
    file = path / RECORDS
    if not file.exists():
        return {}
    try:
        content = contents.check_object(file, files.read_json(file))
    except UserError as error:
        notes.append(_sentence(error))
        return {}
    whole = {}
    for name, record in content.items():
        where = f"{file}: the record {name!r}"
        try:
            rows.check(where, record)
            _check_optional(where, record, OF_RECORD)
            if "measure" in record:
                contents.check_object(where, record, measure=str)
                contents.check_object(f"{where}: found", record.get("found"))
            whole[name] = record
        except UserError as error:
            notes.append(_sentence(error))
    return whole


def _lines(path: files.Path, notes: list[str]) -> list[Mapping[str, Any]]:
    """The whole lines of the log. A last line that a kill has cut is no damage."""
    try:
        texts = metrics_log.texts(path)
    except UserError as error:
        notes.append(_sentence(error))
        return []
    lines = [metrics_log.line(text) for text in texts]
    damaged = sum(line is None for line in lines[:-1])
    if damaged:
        file = path / metrics_log.NAME
        notes.append(f"{damaged} of {len(lines)} lines of {file} are damaged.")
    return [line for line in lines if line is not None]


def _written(path: files.Path) -> datetime.datetime | None:
    file = path / metrics_log.NAME
    with files.reading(file):
        if not file.exists():
            return None
        seconds = getattr(file.stat(), "st_mtime", None)
    if seconds is None:
        return None  # a bucket's client does not say
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _examples(path: files.Path, notes: list[str]) -> bytes | None:
    file = path / EXAMPLES
    try:
        with files.reading(file):
            return file.read_bytes() if file.exists() else None
    except UserError as error:
        notes.append(_sentence(error))
        return None


def _sentence(error: UserError) -> str:
    text = str(error)
    return text if text.endswith(".") else f"{text}."
