"""Runs side by side: `python -m train.compare runs/digits_*`.

Beside the result of each run it shows what `train.evaluate` has found since. Other
weights than those of the result have rows of their own.
"""

import sys
from collections.abc import Sequence

from absl import flags

from train import cli
from train.base import files, terminal
from train.base.errors import UserError
from train.evaluation import records
from train.experiment import finished
from train.reports import rows, tables


def main(argv: Sequence[str] | None = None) -> int:
    folders = list(sys.argv[1:] if argv is None else argv)
    return cli.run(
        ["compare", *folders], define=_define, call=_compare, positional="runs",
        examples=("python -m train.compare runs/ikl runs/trades",),
    )  # fmt: skip


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    flags.DEFINE_multi_string(
        "runs", None, "The folder of a run; an argument without a flag is one, too",
        flag_values=values,
    )  # fmt: skip


def _compare(values: flags.FlagValues) -> None:
    results, found = {}, {}
    for folder in values.runs:
        path = files.named(folder, "a folder of a run")
        stored = records.read(path)
        for name, record in stored.items():
            rows.check(f"{path / records.FILE}: the record {name!r}", record)
        found[folder] = list(stored.values())
        results[folder] = _result(path, optional=bool(stored))
    terminal.console().print(tables.table(results, found))


def _result(folder: files.Path, *, optional: bool) -> dict | None:
    """The result of a run; None: there is none, which is `optional`."""
    result, path = finished.read(folder), folder / finished.FILE
    if result is not None:
        rows.check(path, result, steps=int, seconds=float)
    elif not optional:
        raise UserError(f"no finished run: there is no {path}")
    return result


if __name__ == "__main__":
    sys.exit(main())
