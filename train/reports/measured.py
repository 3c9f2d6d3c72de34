"""The numbers of a run that a comparison has columns for."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from train.base.errors import UserError
from train.reports import rows, tasks
from train.reports.folders import RunFiles
from train.reports.rows import Record

FORM = "MEASURE.NUMBER, such as calibration.brier_score, or a number of result.json"


class Metric(NamedTuple):
    """A number that runs are compared by. Two are the same if all of this is the same.

    Attributes:
      name: `natural`, the name of an attack, or that of a number.
      examples: that it was measured on; 0: not of examples.
      epsilon, norm, relative_step_size: of an attack; 0.0 and "": of none, or unknown.
      percent: whether it is a share, which is shown in percent.
    """

    name: str
    examples: int = 0
    epsilon: float = 0.0
    norm: str = ""
    relative_step_size: float = 0.0
    percent: bool = True


class Measured(NamedTuple):
    """The numbers of a run, and sentences about what is not among them."""

    values: dict[Metric, float]
    notes: list[str]


class Column(NamedTuple):
    """A number of a measure's record, or of the result, as `--columns` names it.

    Attributes:
      text: as it was typed.
      measure: of the record; empty: the result.
      path: of names in it.
      conditions: values that fields of the record must have.
    """

    text: str
    measure: str
    path: tuple[str, ...]
    conditions: tuple[tuple[str, str], ...]


def parse(text: str) -> Column:
    """A column of `--columns`.

    >>> parse("ood.energy.auroc@against=noise")[1:]
    ('ood', ('energy', 'auroc'), (('against', 'noise'),))
    """
    name, *conditions = text.split("@")
    parts = name.split(".")
    split = [condition.partition("=") for condition in conditions]
    if not all(parts) or not all(field and equals for field, equals, _ in split):
        raise UserError(f"--columns must be {FORM}, got {text!r}")
    pairs = tuple((field, value) for field, _, value in split)
    if len(parts) == 1:
        return Column(text, "", tuple(parts), pairs)
    return Column(text, parts[0], tuple(parts[1:]), pairs)


def of(run: RunFiles, columns: Sequence[Column] = ()) -> Measured:
    """The numbers of a finished run.

    They are of the weights and the data of its result. Records of other weights or data
    are left out, which a note says.

    Args:
      run: with a result.
      columns: numbers beyond the accuracies.
    """
    assert run.result is not None
    first, *others = rows.rows(run.name, run.result, run.records)
    natural = first.natural
    found = {
        Metric("natural", natural["num_examples"]): float(natural["natural_accuracy"])
    }
    notes = []
    for record, attack, accuracy in _attacked(first):
        metric = Metric(
            attack, record["num_examples"], record["epsilon"], record.get("norm", ""),
            record.get("relative_step_size") or 0.0,
        )  # fmt: skip
        if found.setdefault(metric, accuracy) != accuracy:
            notes.append(
                f"{run.name} has {attack} with several seeds of the attack: the first "
                "counts"
            )
    if others:
        notes.append(
            f"{run.name} has evaluations of other weights or data, which --each shows"
        )
    found |= _of_result(run.result)
    for column in columns:
        value = _number(run, column)
        if value is None:
            notes.append(f"{run.name} has no {column.text}")
        else:
            percent = "accuracy" in column.path[-1]
            found[Metric(column.text, percent=percent)] = value
    return Measured(found, notes)


def headings(metrics: Iterable[Metric], whole: int) -> dict[Metric, str]:
    """Metrics as headings, with what distinguishes those of one name.

    Args:
      metrics: to be named.
      whole: the number of examples that needs no mention.
    """
    all_metrics = list(metrics)
    found = {}
    for metric in all_metrics:
        alike = [each for each in all_metrics if each.name == metric.name]
        words = [metric.name.replace("_", " ") if metric.epsilon else metric.name]
        if metric.epsilon:
            words.append(f"at {metric.epsilon:.3g}")
        if len({each.norm for each in alike}) > 1:
            words.append(metric.norm)
        if len({each.relative_step_size for each in alike}) > 1:
            words.append(f"step {metric.relative_step_size:.3g}ε")
        if metric.examples not in (0, whole):
            words.append(f"(of {metric.examples})")
        found[metric] = " ".join(words)
    return found


def whole(run: RunFiles) -> int:
    """The size of the part that the run was evaluated on."""
    return rows.rows(run.name, run.result, run.records)[0].whole


def _attacked(row: rows.Row) -> Iterable[tuple[Record, str, float]]:
    for column, entries in sorted(
        row.robust().items(), key=lambda item: (*item[0][:2], item[0][2] or 0.0)
    ):
        for record, accuracy in entries:
            yield record, column.attack, float(accuracy)


def _of_result(result: Record) -> dict[Metric, float]:
    """Of a sequence of tasks, and of groups of classes."""
    found = {}
    for way, short in tasks.WAYS.items():
        of_way = result.get(tasks.FIELD, {}).get(way, {})
        for name in ("average_accuracy", "forgetting"):
            if name in of_way:
                shown = f"{short} {name.partition('_')[0]}"
                found[Metric(shown)] = float(of_way[name])
    for group, accuracy in result.get("accuracy_by_shots", {}).items():
        found[Metric(f"{group} shot")] = float(accuracy)
    return found


def _number(run: RunFiles, column: Column) -> float | None:
    """The number that a column names; None: the run has none.

    Raises:
      UserError: several records have it, or it is no number.
    """
    sources = [_found(record) for record in _records(run, column)]
    values = [value for value in (_at(each, column.path) for each in sources) if
              value is not None]  # fmt: skip
    if len(values) > 1:
        raise UserError(
            f"--columns={column.text}: {run.folder} has {len(values)} records with it; "
            f"{_difference(_records(run, column))}"
        )
    if not values:
        return None
    (value,) = values
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(
            f"--columns={column.text}: must name a number, got {_short(value)}"
        )
    return float(value)


def _records(run: RunFiles, column: Column) -> list[Record]:
    if not column.measure:
        return [run.result or {}]
    return [
        record
        for record in run.records
        if record.get("measure") == column.measure
        and all(str(record.get(field)) == value for field, value in column.conditions)
    ]


def _found(record: Record) -> Any:
    return record["found"] if "measure" in record else record


def _at(content: Any, path: Iterable[str]) -> Any:
    """What lies at a path of names of objects and numbers of lists; None: nothing."""
    for name in path:
        if isinstance(content, Mapping) and name in content:
            content = content[name]
        elif isinstance(content, list) and name.isdigit() and int(name) < len(content):
            content = content[int(name)]
        else:
            return None
    return content


def _difference(records: Sequence[Record]) -> str:
    """In words, how one of several records can be chosen."""
    fields = sorted({field for record in records for field in record})
    for field in fields:
        values = [str(record.get(field)) for record in records]
        plain = isinstance(records[0].get(field), str | int | float)
        if plain and field != "per_example" and len(set(values)) == len(values):
            return f"choose by @{field}={' or '.join(values)}"
    return "they differ in no field that chooses one"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
