"""Tables of runs: a cell is one `python -m train`; finished ones are not run again.

They are known by their folders' names: delete the folders after a change of the config.
"""

import concurrent.futures
import json
import os
import pathlib
import queue
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parent.parent.parent


class Cell(NamedTuple):
    """One run: its folder's name, the config with its argument, overrides of fields.

    `evaluations` are the arguments of each `python -m train.evaluate` that judges it.
    """

    name: str
    config: str
    overrides: tuple[str, ...] = ()
    evaluations: tuple[tuple[str, ...], ...] = ()


def run_all(cells: Sequence[Cell], workdir: pathlib.Path, jobs: int) -> dict[str, dict]:
    """Runs what is not finished, each job on cores of its own; name to result.

    A result's `evaluations` are the verdicts of the cell's, in their order.
    """
    cores = sorted(os.sched_getaffinity(0))
    share = max(1, len(cores) // jobs)
    slots: queue.Queue[set[int]] = queue.Queue()
    for job in range(jobs):
        slots.put(set(cores[job * share : (job + 1) * share]) or set(cores))

    def run(cell: Cell) -> dict:
        slot = slots.get()
        try:
            return _finished(cell, workdir / cell.name, slot)
        finally:
            slots.put(slot)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return dict(zip([c.name for c in cells], pool.map(run, cells), strict=True))


def _finished(cell: Cell, folder: pathlib.Path, cores: set[int]) -> dict:
    """The cell's result, of now or of earlier."""
    result, verdicts = folder / "result.json", folder / "evaluation.json"
    if not result.exists():
        _call(("train", f"--config={cell.config}", *cell.overrides), folder, cores)
    done = len(json.loads(verdicts.read_text())) if verdicts.exists() else 0
    for arguments in cell.evaluations[done:]:
        _call(("train.evaluate", *arguments), folder, cores)
    judged = json.loads(verdicts.read_text()) if cell.evaluations else {}
    return json.loads(result.read_text()) | {"evaluations": [*judged.values()]}


def _call(arguments: tuple[str, ...], folder: pathlib.Path, cores: set[int]) -> None:
    """`python -m ... --workdir=folder`; `RuntimeError` with what it said if not."""
    command = [sys.executable, "-m", *arguments, f"--workdir={folder}"]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax")}
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | cache, capture_output=True, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores), check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    print(f"{folder.name}: {arguments[0]} done", file=sys.stderr, flush=True)
