"""Runs side by side: `python -m train.compare runs/digits_*`.

Beside the result of each run it shows what `train.evaluate` has found since. Other
weights than those of the result have rows of their own.
"""

import pathlib
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from train.base import files
from train.base.errors import UserError
from train.evaluation import records
from train.reports import tables

MOST_COLUMNS = 1000  # characters of a line that goes to no terminal


def main(argv: Sequence[str] | None = None) -> int:
    folders = list(sys.argv[1:] if argv is None else argv)
    if not folders:
        print("error: name one or more folders of runs", file=sys.stderr)
        return 2
    results, found = {}, {}
    try:
        for folder in folders:
            path = pathlib.Path(folder)
            found[folder] = list(records.read(path).values())
            results[folder] = _result(path, optional=bool(found[folder]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    _print(tables.table(results, found))
    return 0


def _print(table: Table) -> None:
    """Prints a table, as wide as it is where no terminal limits it."""
    console = Console()
    if not console.is_terminal:
        wide = console.options.update(width=MOST_COLUMNS)
        needed = console.measure(table, options=wide).maximum
        console = Console(width=max(needed, console.width))
    console.print(table)


def _result(folder: pathlib.Path, *, optional: bool) -> dict | None:
    """The result of a run; None: there is none, which is `optional`."""
    path = folder / "result.json"
    if path.exists():
        return files.read_json(path)
    if optional:
        return None
    raise UserError(f"no finished run: there is no {path}")


if __name__ == "__main__":
    sys.exit(main())
