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

ROOT = pathlib.Path(__file__).parent.parent


class Cell(NamedTuple):
    """One run: its folder's name, the config with its argument, overrides of fields."""

    name: str
    config: str
    overrides: tuple[str, ...] = ()


def run_all(cells: Sequence[Cell], workdir: pathlib.Path, jobs: int) -> dict[str, dict]:
    """Runs what is not finished, each job on cores of its own; name to result."""
    cores = sorted(os.sched_getaffinity(0))
    share = max(1, len(cores) // jobs)
    slots: queue.Queue[set[int]] = queue.Queue()
    for job in range(jobs):
        slots.put(set(cores[job * share : (job + 1) * share]) or set(cores))

    def run(cell: Cell) -> dict:
        folder = workdir / cell.name
        result = folder / "result.json"
        if not result.exists():
            slot = slots.get()
            command = [
                sys.executable, "-m", "train", f"--config={cell.config}",
                f"--workdir={folder}", *cell.overrides,
            ]  # fmt: skip
            cache = {"JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax")}
            done = subprocess.run(
                command, cwd=ROOT, env=os.environ | cache,
                capture_output=True, text=True,
                preexec_fn=lambda: os.sched_setaffinity(0, slot), check=False,
            )  # fmt: skip
            slots.put(slot)
            if done.returncode:
                raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-2000:]}")
            print(f"{cell.name} done", file=sys.stderr, flush=True)
        return json.loads(result.read_text())

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return dict(zip([c.name for c in cells], pool.map(run, cells), strict=True))
