"""Finished runs side by side: `python -m train.compare runs/digits_*`.

With what AutoAttack said of the same weights, where `train.evaluate` has asked it.
"""

import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from train import files
from train.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    folders = list(sys.argv[1:] if argv is None else argv)
    results = {}
    try:
        for folder in folders:
            results[folder] = _read(pathlib.Path(folder))
    except UserError as error:
        print(f"error: no finished run: {error}", file=sys.stderr)
        return 1
    if not results:
        print("error: name one or more run folders", file=sys.stderr)
        return 2
    Console().print(table(results))
    return 0


def _read(folder: pathlib.Path) -> dict[str, Any]:
    """A run's result, with AutoAttack's verdicts as `autoattack`."""
    result, evaluation = files.read_json(folder / "result.json"), {}
    if (folder / "evaluation.json").exists():
        evaluation = files.read_json(folder / "evaluation.json")
    verdicts = [
        verdict
        for name, verdict in evaluation.items()
        if name.startswith("autoattack")
        and verdict["weights"] == result["weights"]
        and verdict.get("dataset", result["dataset"]) == result["dataset"]
    ]
    return result | {"autoattack": verdicts}


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


if __name__ == "__main__":
    sys.exit(main())
