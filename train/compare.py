"""Runs side by side, with error bars where they differ in the seed.

`python -m train.compare runs/losses --baseline=loss=kl`

Runs with the same settings and several seeds are a row: mean and standard deviation.
`--baseline` adds the differences from one of the rows, seed by seed, with confidence
intervals and tests. Other runs have rows of their own, with all that `train.evaluate`
has found since; so do all with `--each`. A folder of runs, such as a sweep's, stands
for the runs in it.
"""

import sys
from collections.abc import Sequence

from absl import flags

from train import cli
from train.base import files, terminal
from train.base.errors import UserError
from train.reports import (
    comparison,
    folders,
    formats,
    frontier,
    group_tables,
    groups,
    measured,
    overview,
)
from train.reports.formats import Page

OF_GROUPS = ("baseline", "columns", "over", "plot")


def main(argv: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    return cli.run(
        ["compare", *given], define=_define, call=_compare, positional="runs",
        examples=(
            "python -m train.compare runs/ikl runs/trades",
            "python -m train.compare runs/losses --plot=frontier.png --format=latex",
        ),
    )  # fmt: skip


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    flags.DEFINE_multi_string(
        "runs", None, "The folder of a run, or of a sweep; an argument without a flag "
        "is one, too", flag_values=values,
    )  # fmt: skip
    for name, text in (
        ("baseline", "The group to take differences from: FIELD=VALUE, several with "
         "commas between, or the folder of one of its runs."),
        ("plot", "Draw natural against robust accuracy: a .png, .pdf or .svg."),
        ("output", "Write the tables to this file. Default: print them."),
    ):  # fmt: skip
        flags.DEFINE_string(name, None, text, flag_values=values)
    flags.DEFINE_list(
        "columns", [], f"Numbers to show besides: {measured.FORM}. @FIELD=VALUE after "
        "one chooses among several records.", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_list(
        "over", ["seed"], "The fields in which the runs of a group differ.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_enum(
        "format", "table", [*formats.TEXTS], "Of the tables.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_bool(
        "each", False, "A row for each run, in place of groups.", flag_values=values
    )


def _compare(values: flags.FlagValues) -> None:
    found = folders.found(values.runs)
    asked = [name for name in OF_GROUPS if values[name].present]
    if values.each and asked:
        raise UserError(f"--each and --{asked[0]} exclude each other")
    if values.each or not (asked or comparison.has_seeds(found.runs)):
        _write(overview.of_runs(found), values)
        return
    if alone := comparison.ungroupable(found.runs):
        raise UserError(f"--{asked[0]} needs finished runs, and {alone} is none")
    columns = [measured.parse(text) for text in values.columns]
    made = comparison.compare(found, columns, values.over)
    baseline = None
    if values.baseline is not None:
        baseline = groups.chosen(made.groups, values.baseline)
    if values.plot:
        frontier.save(files.named(values.plot, "--plot"), made)
    page = group_tables.page(made, baseline)
    if values.format == "csv":
        page = Page([group_tables.long_grid(made, baseline)], made.notes)
    _write(page, values)


def _write(page: Page, values: flags.FlagValues) -> None:
    """Prints the tables, or writes them to `--output`."""
    if values.format == "csv":
        for note in page.notes:
            terminal.warn(note)
    if values.output is None and values.format == "table":
        formats.show(page, terminal.console())
        return
    text = formats.TEXTS[values.format](page)
    if values.output is None:
        print(terminal.shown(text), end="")
    else:
        files.write_whole(files.named(values.output, "--output"), text)


if __name__ == "__main__":
    sys.exit(main())
