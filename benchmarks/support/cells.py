"""Tables of runs for the benchmarks: `train.search` makes them, results come back.

What is finished is not run again. A folder that was made with another config is
refused.
"""

import contextlib
import os
import pathlib
import sys
from collections.abc import Sequence

from train.base.errors import UserError
from train.base.files import lock
from train.cli import config_flag
from train.devices.preemption import Preempted
from train.search import folder, grid, runs, slots, standing
from train.search.cells import Cell

__all__ = ["ROOT", "Cell", "run_all"]
ROOT = pathlib.Path(__file__).parent.parent.parent


def run_all(cells: Sequence[Cell], workdir: pathlib.Path, jobs: int) -> dict[str, dict]:
    """Runs what is not finished, at most that many at a time; name to result.

    A result's `evaluations` are the records of the cell's, in their order.

    Raises:
      RuntimeError: some have failed, or a folder was made with another config.
    """
    workdir = workdir.resolve()
    workdir.mkdir(parents=True, exist_ok=True)
    say = lambda line: print(line, file=sys.stderr, flush=True)
    try:
        # Configs and data are named from the checkout.
        with contextlib.chdir(ROOT), lock.held(workdir / folder.LOCK, workdir):
            known = [_with_fields(cell) for cell in cells]
            gpus = slots.visible_gpus(os.environ)
            places = slots.of_machine(min(jobs, len(gpus)) if gpus else jobs)
            failed = runs.make(known, workdir, places, say)
        if failed:
            raise RuntimeError("\n".join(f"{n}: {why}" for n, why in failed.items()))
        return {c.name: standing.result_of(c, workdir / c.name) for c in known}
    except UserError as error:
        raise RuntimeError(str(error)) from error
    except Preempted as stop:
        sys.exit(f"stopped by {stop.by}; the same command goes on")


def _with_fields(cell: Cell) -> Cell:
    """The cell, with all fields of its config, which its folder must have too."""
    name, config, overrides, evaluations, _ = cell
    return grid.create(name, config, overrides, evaluations, config_flag.load)
