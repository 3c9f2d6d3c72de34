"""A page on one run or several: `python -m train.report runs/* --output=report.html`.

The page is one HTML file: summary, results, curves of training, robust accuracy against
epsilon, images, measures, configs and their differences, versions, and the commands to
repeat it all. It needs no network and no script. Only files of the runs are read, so a
run that is going on can be looked at, too. A folder that holds folders of runs, such as
that of a sweep, stands for these.
"""

import datetime
import json
import pathlib
import sys
from collections.abc import Sequence

from absl import flags

from train import cli
from train.base import files, terminal
from train.base.errors import UserError
from train.reports.page import document, reading
from train.reports.page.runs import arranged, once

CONFIGS = pathlib.Path(__file__).parent.parent / "configs"
DEFAULT = "report.html"


def main(argv: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    return cli.run(
        ["report", *given], define=_define, call=_report, positional="runs",
        examples=("python -m train.report runs/digits",),
    )  # fmt: skip


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    flags.DEFINE_multi_string(
        "runs", None, "The folder of a run, or one that holds folders of runs; an "
        "argument without a flag is one, too",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_string(
        "output", DEFAULT, "The file that the page is written to.", flag_values=values
    )


def _report(values: flags.FlagValues) -> None:
    output = files.named(values.output, "--output")
    _check_output(output)
    named = [files.named(each, "a folder of a run") for each in values.runs]
    paths, again = once([path for each in named for path in reading.runs_in(each)])
    notes = [f"{path} was named more than once; it is shown once." for path in again]
    runs = arranged([reading.read(path) for path in paths])
    page = document.page(
        runs, now=datetime.datetime.now(datetime.UTC), defaults=defaults, notes=notes
    )
    files.write_whole(output, page)
    for note in [*notes, *(note for run in runs for note in run.folder.notes)]:
        terminal.warn(note)
    size = len(page.encode()) / 1e6
    print(terminal.shown(f"report: {output} ({size:.1f} MB)"))


def _check_output(output: files.Path) -> None:
    """Raises `UserError` for an output that is no page, before anything is read."""
    if output.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--output must be a file that ends in .html, got {output}")
    with files.reading(output):
        is_folder = output.is_dir()
    if is_folder:
        raise UserError(f"--output must be a file, but {output} is a folder")


def defaults(name: str) -> tuple[str, dict]:
    """The config file of that name, with its argument, and its fields.

    A name is that of the file and its options: `digits_ikl_at:quick`. Where it is not
    among `configs/`, the defaults of all configs are returned.
    """
    stem, *options = name.split(":")
    path = {each.stem: each for each in CONFIGS.glob("*.py")}.get(stem)
    if path is not None:
        argument = ":".join([f"configs/{path.name}", ",".join(options)]).rstrip(":")
        if (fields := _fields(path, ",".join(options))) is not None:
            return argument, fields
    return "configs/base.py", _fields(CONFIGS / "base.py", "") or {}


def _fields(path: pathlib.Path, argument: str) -> dict | None:
    """The fields of a config by dotted names; None if it cannot be loaded."""
    values = flags.FlagValues()
    given = ["report", f"--config={path}{':' if argument else ''}{argument}"]
    try:
        cli.define_config(values, given, None, "")
        values(given)
        return dict(reading.flat(json.loads(values.config.to_json())))
    except (flags.Error, LookupError, AttributeError, TypeError, ValueError):
        return None


if __name__ == "__main__":
    sys.exit(main())
