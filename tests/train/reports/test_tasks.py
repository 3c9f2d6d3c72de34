"""Accuracy matrix, average accuracy and forgetting against NumPy, and how they look."""

import io

import numpy as np
import pytest
from rich.console import Console

from tests.train.reports.test_tables import RESULT, drawn
from train.base.errors import UserError
from train.reports import rows, tasks


def matrix_of(count, seed=0):
    values = np.random.default_rng(seed).uniform(size=(count, count))
    return values, [row[: i + 1].tolist() for i, row in enumerate(values)]


@pytest.mark.parametrize("count", [2, 3, 6])
def test_average_accuracy_and_forgetting(count):
    values, matrix = matrix_of(count)
    lost = 0.0
    for task in range(count - 1):
        best = -np.inf
        for after in range(task, count - 1):
            best = max(best, values[after, task])
        lost += best - values[count - 1, task]
    assert tasks.forgetting(matrix) == pytest.approx(lost / (count - 1), abs=1e-12)
    average = tasks.average_accuracy(matrix)
    assert average == pytest.approx(values[count - 1].mean(), abs=1e-12)


def test_the_best_earlier_accuracy_counts_and_not_the_first():
    assert tasks.forgetting([[0.5], [0.9, 0.5], [0.7, 0.6, 0.5]]) == pytest.approx(0.05)


def summary(count=3):
    (_, one), (_, two) = matrix_of(count), matrix_of(count, 1)
    return tasks.summary(
        [
            {"class_incremental": a, "task_incremental": b}
            for a, b in zip(one, two, strict=True)
        ]
    )


def test_the_summary_has_both_ways():
    found = summary()
    for way, seed in (("class_incremental", 0), ("task_incremental", 1)):
        _, matrix = matrix_of(3, seed)
        assert found[way]["accuracy_matrix"] == matrix
        assert found[way]["average_accuracy"] == tasks.average_accuracy(matrix)
        assert found[way]["forgetting"] == tasks.forgetting(matrix)


def test_the_tables_show_them():
    row = {"class_incremental": [0.5, 0.75], "task_incremental": [0.9, 1.0]}
    assert tasks.line(row) == (
        "class-IL 50.0 75.0, average 62.5%; task-IL 90.0 100.0, average 95.0%"
    )
    found = tasks.summary([{way: [1.0] for way in tasks.WAYS}, row])
    out = io.StringIO()
    Console(file=out, width=100).print(tasks.matrix_table(found, "class_incremental"))
    lines = out.getvalue().splitlines()
    assert ["│ 2 │ 50.0 │ 75.0 │"] == [
        " ".join(line.split()) for line in lines if line.startswith("│ 2")
    ]
    captions = [line.strip() for line in lines[-2:]]
    assert captions == ["average accuracy 62.5%", "forgetting 50.0%"]
    result = {**RESULT, "continual": found}
    heads, ours, others = drawn({"sequence": result, "digits": RESULT})
    cells = dict(zip(heads, ours, strict=True))
    assert cells["class-IL average"] == "62.5%"
    assert cells["class-IL forgetting"] == "50.0%"
    assert cells["task-IL average"] == "95.0%"
    assert dict(zip(heads, others, strict=True))["task-IL forgetting"] == ""


def test_results_that_lack_something_are_refused():
    result = {**RESULT, "continual": summary()}
    rows.check("result.json", result)
    for way in tasks.WAYS:
        less = {name: each for name, each in summary().items() if name != way}
        with pytest.raises(UserError, match=f"continual.{way} must hold a JSON object"):
            rows.check("result.json", {**RESULT, "continual": less})
    with pytest.raises(UserError, match="lacks the field accuracy_by_task"):
        tasks.check_row("task_1/result.json", RESULT)
    row = {**RESULT, "accuracy_by_task": {"class_incremental": [0.5]}}
    with pytest.raises(UserError, match="accuracy_by_task lacks the field task_incre"):
        tasks.check_row("task_1/result.json", row)
    row["accuracy_by_task"]["task_incremental"] = [0.5]
    tasks.check_row("task_1/result.json", row)
    with pytest.raises(UserError, match="initial_weights must be an object of texts"):
        tasks.check_row("task_1/result.json", row | {"initial_weights": "abc"})
