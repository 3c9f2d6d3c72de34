"""Runs side by side: a row for each set of weights, a column for each measure."""

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from train.reports import tasks
from train.reports.rows import Column, Record, Row, rows


def table(
    results: Mapping[str, Record | None],
    records: Mapping[str, Iterable[Record]] | None = None,
) -> Table:
    """A table of runs.

    Args:
      results: what each run's `result.json` holds; None: there is none.
      records: what each run's `evaluation.json` holds.
    """
    records = records or {}
    all_rows = [
        row
        for name, result in results.items()
        for row in rows(pathlib.Path(name).name, result, records.get(name, ()))
    ]
    attacks = _columns(all_rows)
    # Named where a run has several, or was not trained here.
    names_weights = len(all_rows) > len(results) or None in results.values()
    groups = list(dict.fromkeys(group for row in all_rows for group in _by_shots(row)))
    of_tasks = list(
        dict.fromkeys(name for row in all_rows for name, _ in tasks.columns(row.result))
    )
    left = ["run", *(["weights"] if names_weights else []), "data"]
    right = ["steps", "seconds", "natural", *of_tasks, *attacks.values()]
    drawn = Table()
    for column in left:
        drawn.add_column(column, overflow="fold")
    for column in [*right, *(f"{group}\nshot" for group in groups)]:
        drawn.add_column(column, justify="right", overflow="fold")
    for row in all_rows:
        drawn.add_row(
            row.run,
            *([_weights(row, all_rows)] if names_weights else []),
            _data(row, all_rows),
            *_training(row.result),
            _percent(row.natural["natural_accuracy"]) + _part(row.natural, row),
            *(dict(tasks.columns(row.result)).get(name, "") for name in of_tasks),
            *(_cell(row, column) for column in attacks),
            *(_percent(_by_shots(row).get(group)) for group in groups),
        )
    return drawn


def _columns(all_rows: Iterable[Row]) -> dict[Column, str]:
    """The headings of all attacks; step sizes are in them where one has several."""
    columns = sorted(
        {column for row in all_rows for column in row.robust()},
        key=lambda column: (*column[:2], column.relative_step_size or 0.0),
    )
    names = [column[:2] for column in columns]
    headings = {}
    for column in columns:
        # On lines, so that a terminal of 80 columns has room for it.
        lines = [*column.attack.split("_"), f"at {column.epsilon:.3g}"]
        if names.count(column[:2]) > 1 and column.relative_step_size is not None:
            lines.append(f"step {column.relative_step_size:.3g}ε")
        headings[column] = "\n".join(lines)
    return headings


def _weights(row: Row, all_rows: Sequence[Row]) -> str:
    """The weights of a row, with checksums where other rows look the same."""
    name = lambda row: (row.run, row.weights, _data(row, all_rows))
    alike = [other for other in all_rows if name(other) == name(row)]
    weights = row.weights if len(alike) == 1 else f"{row.weights}, {row.checksums}"
    return weights.replace(", ", "\n")  # for a terminal of 80 columns


def _data(row: Row, all_rows: Sequence[Row]) -> str:
    """The data of a row, with the image size where other rows have another one."""
    sizes = {tuple(other.image_sizes) for other in all_rows if other.data == row.data}
    if len(sizes) == 1 or not row.image_sizes:
        return row.data
    size, shorter = row.image_sizes
    return f"{row.data}, image size {size} of {shorter}"


def _training(result: Record | None) -> tuple[str, str]:
    """Steps and seconds."""
    if result is None:
        return "", ""
    return str(result["steps"]), f"{result['seconds']:.0f}"


def _cell(row: Row, column: Column) -> str:
    """The accuracies under an attack, a line for each number of examples and seed."""
    entries = row.robust().get(column, [])
    counts = [record["num_examples"] for record, _ in entries]
    lines = []
    for record, accuracy in entries:
        line = _percent(accuracy) + _part(record, row)
        if counts.count(record["num_examples"]) > 1 and "seed" in record:
            line += f" (seed {record['seed']})"
        lines.append(line)
    return "\n".join(lines)


def _part(record: Record, row: Row) -> str:
    """How many examples an accuracy is of, if not of all."""
    count = record["num_examples"]
    return "" if count == row.whole else f" (of {count})"


def _by_shots(row: Row) -> dict[str, Any]:
    return row.natural.get("accuracy_by_shots", {})


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}%"
