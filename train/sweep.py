"""Makes many runs: all combinations of values, each with several seeds.

`python -m train.sweep configs/fashion_mnist_at.py --vary=loss=kl,ikl --seeds=3
--workdir=runs/losses`

What is varied is an option of the config's argument (`loss`) or a field
(`optimizer.learning_rate`). The same command again goes on: it leaves out what is
finished, and resumes what is not. A run that fails stops no other. At the end comes the
table of `train.compare`.

`--evaluate` judges each run when it is trained, `--dry_run` lists the runs, and
`--array` prints a line of shell for each, for a job array of SLURM:

`python -m train.sweep configs/fashion_mnist_at.py --vary=loss=kl,ikl
--vary=optimizer.learning_rate=0.05,0.1 --workdir=runs/rates
--evaluate="--attack=autoattack --num_examples=1000"`
"""

import pathlib
import sys
from collections.abc import Sequence

from absl import flags
from rich.console import Console
from rich.table import Table

from train import cli
from train.base import files, terminal
from train.base.config import Config
from train.base.errors import UserError
from train.cli import config_flag
from train.experiment import finished, validation
from train.reports import folders, formats, overview
from train.search import cells, evaluations, folder, grid, runs, slots, standing
from train.search.cells import Cell


def main(argv: Sequence[str] | None = None) -> int:
    given = list(sys.argv if argv is None else ["sweep", *argv])
    rest, overrides = config_flag.apart(given)

    def call(values: flags.FlagValues) -> None:
        _sweep(values, overrides)

    return cli.run(
        rest, define=_define, call=call, positional="configs", required=("workdir",),
        kept="what is finished stays, and the same command goes on",
    )  # fmt: skip


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    flags.DEFINE_multi_string(
        "configs", None, "The config, with :OPTIONS after it; an argument without a "
        "flag is one, too. --config.FIELD=VALUE changes a field of all runs.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_multi_string(
        "vary", [], "NAME=VALUE,VALUE,...: a field or an option of the config, and its "
        "values. Given several times: all combinations.", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer(
        "seeds", None, "Number of seeds, from 0. Default: the config's seed alone.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_string(
        "workdir", None, "The folder of the sweep, with a folder for each run.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_multi_string(
        "evaluate", [], "Flags of a python -m train.evaluate that judges each run. "
        "Given several times: one after another.", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer(
        "jobs", None, "Runs at a time: each with a GPU, or with an equal share of the "
        "cores. Default: the number of GPUs, or 1.", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_bool(
        "dry_run", False, "List the runs and how far they are.", flag_values=values
    )
    flags.DEFINE_bool(
        "array", False, "Print a line of shell for each run that is not finished.",
        flag_values=values,
    )  # fmt: skip


def _sweep(values: flags.FlagValues, overrides: Sequence[str]) -> None:
    workdir = files.local(values.workdir, "--workdir")
    chosen = _cells(values, overrides)
    console = terminal.console()
    folder.check(workdir)
    runs.check(chosen, workdir)
    if values.dry_run:
        console.print(_listed(chosen, workdir))
        return
    if any(_is_left(cell, workdir) for cell in chosen):
        evaluations.check(chosen[0].evaluations)
    if values.array:
        _print_array(chosen, workdir)
        return
    places = slots.of_machine(values.jobs)
    names = [cell.name for cell in chosen]
    with folder.claimed(workdir, names, _description(values, overrides)):
        failed = runs.make(chosen, workdir, places, console.print)
    _print_table(workdir, console)
    if failed:
        raise UserError(_of_failed(failed, len(chosen), workdir))


def _cells(values: flags.FlagValues, overrides: Sequence[str]) -> list[Cell]:
    """The runs that the command line asks for; `UserError` for what no run can use."""
    if len(values.configs) > 1:
        raise UserError(f"a sweep has one config, got {', '.join(values.configs)}")
    for name in ("seeds", "jobs"):
        given = values[name].value
        if given is not None and given < 1:
            raise UserError(f"--{name} must be at least 1, got {given}")
    if values.dry_run and values.array:
        raise UserError("--dry_run and --array exclude each other")
    (config,) = values.configs
    judged = [evaluations.parse(text) for text in values.evaluate]
    varied = grid.axes(values.vary, config, overrides, config_flag.load)
    found = grid.cells(
        varied, range(values.seeds or 0), config, overrides, judged, _load_valid
    )
    return found if varied or values.seeds else [found[0]._replace(name="run")]


def _load_valid(argument: str, overrides: Sequence[str]) -> Config:
    """As `config_flag.load`, and refuses values that no run can use."""
    config = config_flag.load(argument, overrides)
    try:
        validation.validate(config)
    except UserError as error:
        shown = " ".join([argument, *overrides])
        raise UserError(f"{error} (of {shown})") from error
    return config


def _is_left(cell: Cell, workdir: pathlib.Path) -> bool:
    return standing.of(cell, workdir / cell.name) is not standing.Standing.FINISHED


def _listed(chosen: Sequence[Cell], workdir: pathlib.Path) -> Table:
    listed = Table("run", "config", "flags", "is")
    for cell in chosen:
        state = standing.of(cell, workdir / cell.name)
        listed.add_row(cell.name, cell.config, "\n".join(cell.overrides), state.value)
    return listed


def _print_array(chosen: Sequence[Cell], workdir: pathlib.Path) -> None:
    left = [cell for cell in chosen if _is_left(cell, workdir)]
    if len(left) < len(chosen):
        count = len(chosen) - len(left)
        terminal.warn(f"{count} of {len(chosen)} runs are finished and left out")
    for cell in left:
        print(cells.shell_line(cell, workdir / cell.name))


def _description(
    values: flags.FlagValues, overrides: Sequence[str]
) -> dict[str, object]:
    """What the sweep's file says: the command line."""
    return {
        "config": values.configs[0], "vary": values.vary, "seeds": values.seeds,
        "evaluate": values.evaluate, "overrides": list(overrides),
    }  # fmt: skip


def _print_table(workdir: pathlib.Path, console: Console) -> None:
    if any((path / finished.FILE).exists() for path in workdir.iterdir()):
        formats.show(overview.of_any(folders.found([str(workdir)])), console)


def _of_failed(failed: dict[str, str], count: int, workdir: pathlib.Path) -> str:
    """The runs that failed; why has been printed when each did."""
    logs = ", ".join(str(workdir / f"{name}.log") for name in failed)
    return (
        f"{len(failed)} of {count} runs failed, see {logs}; the same command tries "
        "them again"
    )


if __name__ == "__main__":
    sys.exit(main())
