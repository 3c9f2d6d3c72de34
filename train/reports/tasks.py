"""What a sequence of tasks came to: accuracy matrices, average accuracy, forgetting.

Row i of an accuracy matrix holds the accuracies on the tasks 1 to i, measured when task
i had been learned.

References:
  Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual Learning",
  https://arxiv.org/abs/1706.08840, 2017: average accuracy.
  Chaudhry et al., "Riemannian Walk for Incremental Learning",
  https://arxiv.org/abs/1801.10112, 2018: forgetting.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from train.base import contents

Matrix = Sequence[Sequence[float]]
# The two ways to measure, with their usual abbreviations.
WAYS = {"class_incremental": "class-IL", "task_incremental": "task-IL"}
FIELD = "continual"  # of a result


def average_accuracy(matrix: Matrix) -> float:
    """The mean of the last row.

    >>> average_accuracy([[1.0], [0.5, 0.75]])
    0.625
    """
    return sum(matrix[-1]) / len(matrix[-1])


def forgetting(matrix: Matrix) -> float:
    """How much accuracy the tasks before the last one have lost.

    It is the mean over these tasks of the best accuracy after any task before the last,
    minus that after the last. Negative: they have become better.

    Args:
      matrix: of two tasks or more.

    >>> forgetting([[1.0], [0.5, 0.75], [0.25, 0.75, 0.9]])
    0.375
    """
    last, earlier = matrix[-1], range(len(matrix) - 1)
    lost = [max(row[task] for row in matrix[task:-1]) - last[task] for task in earlier]
    return sum(lost) / len(lost)


def summary(rows: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, Any]:
    """The fields of a result, from `accuracy_by_task` after each task."""
    found: dict[str, Any] = {}
    for way in WAYS:
        matrix = [list(row[way]) for row in rows]
        found[way] = {
            "accuracy_matrix": matrix,
            "average_accuracy": average_accuracy(matrix),
            "forgetting": forgetting(matrix),
        }
    return found


def line(row: Mapping[str, Sequence[float]]) -> str:
    """The accuracies after one task, in one line."""
    parts = []
    for way, name in WAYS.items():
        each = " ".join(f"{100 * accuracy:.1f}" for accuracy in row[way])
        parts.append(f"{name} {each}, average {_percent(average_accuracy([row[way]]))}")
    return "; ".join(parts)


def matrix_table(found: Mapping[str, Any], way: str) -> Table:
    """An accuracy matrix in percent, with average accuracy and forgetting below."""
    matrix, average, lost = (
        found[way][name]
        for name in ("accuracy_matrix", "average_accuracy", "forgetting")
    )
    count = len(matrix)
    caption = f"average accuracy {_percent(average)}\nforgetting {_percent(lost)}"
    title = f"{way.replace('_', '-')} accuracy ({WAYS[way]}), %"
    drawn = Table(title=title, caption=caption)
    drawn.add_column("after task")
    for task in range(1, count + 1):
        drawn.add_column(f"on {task}", justify="right")
    for task, row in enumerate(matrix, 1):
        cells = [f"{100 * accuracy:.1f}" for accuracy in row]
        drawn.add_row(str(task), *cells, *[""] * (count - len(row)))
    return drawn


def columns(result: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """For a table of runs: headings and cells of a sequence; nothing for others."""
    found = (result or {}).get(FIELD, {})
    for way, name in WAYS.items():
        if way in found:
            yield f"{name}\naverage", _percent(found[way]["average_accuracy"])
            yield f"{name}\nforgetting", _percent(found[way]["forgetting"])


def check(where: Any, result: Mapping[str, Any]) -> None:
    """Raises `UserError` unless a sequence's result has what `columns` shows."""
    found = contents.check_object(f"{where}: {FIELD}", result[FIELD])
    for way in WAYS:
        contents.check_object(
            f"{where}: {FIELD}.{way}", found.get(way), average_accuracy=float,
            forgetting=float,
        )  # fmt: skip


def check_row(where: Any, result: Mapping[str, Any]) -> None:
    """Raises `UserError` unless the result of a task has the accuracies of a row."""
    found = contents.check_object(
        where, result, accuracy_by_task=Mapping[str, Sequence[float]],
        data_fingerprint=str, weights_checksum=str,
    )  # fmt: skip
    if "initial_weights" in result:  # of all tasks but the first
        contents.check_object(where, result, initial_weights=Mapping[str, str])
    kinds = dict.fromkeys(WAYS, Sequence[float])
    contents.check_object(
        f"{where}: accuracy_by_task", found["accuracy_by_task"], **kinds
    )


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"
