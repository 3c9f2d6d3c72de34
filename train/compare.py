"""Finished runs side by side: `python -m train.compare runs/digits_*`."""

import pathlib
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from train import files
from train.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    folders = list(sys.argv[1:] if argv is None else argv)
    results = {}
    try:
        for folder in folders:
            results[folder] = files.read_json(pathlib.Path(folder) / "result.json")
    except UserError as error:
        print(f"error: no finished run: {error}", file=sys.stderr)
        return 1
    if not results:
        print("error: name one or more run folders", file=sys.stderr)
        return 2
    Console().print(table(results))
    return 0


def table(results: dict[str, dict]) -> Table:
    """A row a run; a column for each attack that any of them was judged by."""
    attacks = sorted(
        {
            (name, result["epsilon"])
            for result in results.values()
            for name in result["robust_accuracy"]
        }
    )
    columns = ["run", "data", "steps", "seconds", "natural"]
    columns += [f"{name}\nat {epsilon:.3g}" for name, epsilon in attacks]
    by_shots = [result.get("accuracy_by_shots", {}) for result in results.values()]
    groups = list(dict.fromkeys(group for shots in by_shots for group in shots))
    columns += [f"{group}\nshot" for group in groups]
    shown = Table()
    for column in columns:
        shown.add_column(
            column, justify="left" if column in ("run", "data") else "right"
        )
    for (name, result), shots in zip(results.items(), by_shots, strict=True):
        robust = [
            result["robust_accuracy"].get(attack)
            if result.get("epsilon") == epsilon
            else None
            for attack, epsilon in attacks
        ]
        shown.add_row(
            pathlib.Path(name).name,
            f"{result['dataset']} ({result['evaluated_on']})",
            str(result["steps"]),
            f"{result['seconds']:.0f}",
            _percent(result["natural_accuracy"]),
            *map(_percent, robust),
            *(_percent(shots.get(group)) for group in groups),
        )
    return shown


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}%"


if __name__ == "__main__":
    sys.exit(main())
