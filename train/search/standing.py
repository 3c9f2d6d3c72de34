"""What a cell's folder says about it: what is finished, and what comes next.

Nothing else is remembered between two sweeps: a run is finished if its `result.json` is
there for the epochs of its config, and an evaluation if `evaluated_by_sweep.json` in
the folder names it for the weights of that result.
"""

import enum
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from train.base import contents, files
from train.base.errors import UserError
from train.evaluation import records
from train.experiment import finished, settings
from train.search.cells import Cell, evaluate_arguments, fields_of, train_arguments

FILE = "evaluated_by_sweep.json"  # of a run's folder


class Standing(enum.Enum):
    """How far a cell is."""

    NEW = "not begun"
    BEGUN = "begun"
    TRAINED = "trained"
    FINISHED = "finished"


def check(cell: Cell, folder: pathlib.Path) -> None:
    """Raises `UserError` if the folder was made with another config."""
    if not cell.fields or not (folder / "config.json").exists():
        return
    there = fields_of(settings.load(folder))
    changed = {
        field: values
        for field, values in settings.differences(there, dict(cell.fields)).items()
        if not settings.is_among(field, settings.WITHOUT_EFFECT)
    }
    if changed:
        shown = "; ".join(
            f"{field} is {before!r} there and {now!r} here"
            for field, (before, now) in changed.items()
        )
        raise UserError(
            f"{folder} was made with another config: {shown}. Use another --workdir, "
            "or delete this folder"
        )


def of(cell: Cell, folder: pathlib.Path) -> Standing:
    """How far the cell is.

    Raises:
      UserError: a file of the folder cannot be read.
    """
    if not (folder / "config.json").exists():
        return Standing.NEW
    result = finished.read(folder)
    if result is None or result.get("epochs") != _epochs(cell, result):
        return Standing.BEGUN
    left = [each for each in cell.evaluations if not _is_judged(folder, result, each)]
    return Standing.TRAINED if left else Standing.FINISHED


def next_arguments(cell: Cell, folder: pathlib.Path) -> list[str]:
    """What follows `python` to go on with the cell; empty: it is finished."""
    if of(cell, folder) in (Standing.NEW, Standing.BEGUN):
        return train_arguments(cell, folder)
    evaluation = next_evaluation(cell, folder)
    return [] if evaluation is None else evaluate_arguments(evaluation, folder)


def next_evaluation(cell: Cell, folder: pathlib.Path) -> tuple[str, ...] | None:
    """The first evaluation of a trained run that is not finished; None: all are."""
    result = finished.read(folder) or {}
    for arguments in cell.evaluations:
        if not _is_judged(folder, result, arguments):
            return arguments
    return None


def stamps(folder: pathlib.Path) -> dict[str, int]:
    """When the per-example file of each record was written."""
    return {
        name: (folder / record["per_example"]).stat().st_mtime_ns
        for name, record in records.read(folder).items()
        if "per_example" in record and (folder / record["per_example"]).exists()
    }


def mark(
    folder: pathlib.Path, arguments: Sequence[str], before: Mapping[str, int]
) -> None:
    """Notes that an evaluation is finished.

    Args:
      folder: of the run.
      arguments: of the evaluation.
      before: the stamps when it began; its records are those with other stamps now.
    """
    now = stamps(folder)
    made = [name for name, stamp in now.items() if stamp != before.get(name)]
    result = finished.read(folder) or {}
    marks = _marks(folder)
    marks[_key(arguments)] = {
        "weights_checksum": result.get("weights_checksum"), "records": made,
    }  # fmt: skip
    files.write_whole(folder / FILE, files.to_json(marks))


def result_of(cell: Cell, folder: pathlib.Path) -> dict[str, Any]:
    """The result of a finished cell.

    Its `evaluations` are the records of the cell's evaluations, in their order.

    Raises:
      UserError: the cell is not finished.
    """
    result = finished.read(folder)
    if result is None or of(cell, folder) is not Standing.FINISHED:
        raise UserError(f"{folder} is not finished")
    stored, marks = records.read(folder), _marks(folder)
    names = [n for each in cell.evaluations for n in marks[_key(each)]["records"]]
    return result | {"evaluations": [stored[name] for name in names]}


def _epochs(cell: Cell, result: dict[str, Any]) -> Any:
    return cell.fields.get("epochs", result.get("epochs"))


def _is_judged(
    folder: pathlib.Path, result: dict[str, Any], arguments: Sequence[str]
) -> bool:
    mark = _marks(folder).get(_key(arguments))
    if mark is None or mark["weights_checksum"] != result.get("weights_checksum"):
        return False
    return set(mark["records"]) <= set(records.read(folder))


def _key(arguments: Sequence[str]) -> str:
    return " ".join(arguments)


def _marks(folder: pathlib.Path) -> dict[str, Any]:
    path = folder / FILE
    if not path.exists():
        return {}
    found = contents.check_object(path, files.read_json(path))
    for name, mark in found.items():
        contents.check_object(f"{path}: {name!r}", mark, records=Sequence[str])
    return found
