"""Runs side by side: a row a run, a column a measure."""

import pathlib
from typing import Any

from rich.table import Table


def table(results: dict[str, dict]) -> Table:
    """A row a run; a column for each attack that any of them was judged by."""
    robust = {name: _robust(result) for name, result in results.items()}
    attacks = sorted({attack for judged in robust.values() for attack in judged})
    columns = ["run", "data", "steps", "seconds", "natural"]
    columns += [f"{_lines(name)}\nat {epsilon:.3g}" for name, epsilon in attacks]
    by_shots = [result.get("accuracy_by_shots", {}) for result in results.values()]
    groups = list(dict.fromkeys(group for shots in by_shots for group in shots))
    columns += [f"{group}\nshot" for group in groups]
    shown = Table()
    for column in columns:
        shown.add_column(
            column, justify="left" if column in ("run", "data") else "right"
        )
    for (name, result), shots in zip(results.items(), by_shots, strict=True):
        shown.add_row(
            pathlib.Path(name).name,
            f"{result['dataset']} ({result['evaluated_on']})",
            str(result["steps"]),
            f"{result['seconds']:.0f}",
            _percent(result["natural_accuracy"]),
            *(robust[name].get(attack, "") for attack in attacks),
            *(_percent(shots.get(group)) for group in groups),
        )
    return shown


def _robust(result: dict[str, Any]) -> dict[tuple[str, float], str]:
    """What each attack at its epsilon says, and on how many examples if not on all."""
    told = {}
    for verdict in (result, *result.get("autoattack", ())):
        count = verdict["num_examples"]
        part = "" if count == result["num_examples"] else f" (of {count})"
        for attack, accuracy in verdict["robust_accuracy"].items():
            told[attack, verdict["epsilon"]] = _percent(accuracy) + part
    return told


def _lines(name: str) -> str:
    """An attack's name on lines, so that a terminal of 80 columns has room for it."""
    return name.replace("_", "\n")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}%"
