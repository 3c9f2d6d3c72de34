"""Finished runs side by side: `python -m train.compare runs/digits_*`.

With what AutoAttack said of the same weights, where `train.evaluate` has asked it.
"""

import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from train.base import files
from train.base.errors import UserError
from train.reports import tables


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
    Console().print(tables.table(results))
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


if __name__ == "__main__":
    sys.exit(main())
