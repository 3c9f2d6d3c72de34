"""Where runs can work side by side: a GPU for each, or cores of its own for each."""

import importlib.metadata
import os
import pathlib
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from train.base.errors import UserError

VISIBLE, COMPILED = "CUDA_VISIBLE_DEVICES", "JAX_COMPILATION_CACHE_DIR"


class Slot(NamedTuple):
    """What one run at a time may use.

    Attributes:
      number: of the slot, from 0.
      cores: of the CPU; empty: all.
      gpu: as `CUDA_VISIBLE_DEVICES` names it; empty: the run sees what there is.
    """

    number: int
    cores: tuple[int, ...] = ()
    gpu: str = ""


def of_machine(jobs: int | None) -> list[Slot]:
    """The slots for that many runs at a time.

    Args:
      jobs: None: as many as there are GPUs, or one where there is none.

    Raises:
      UserError: there are fewer GPUs.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return divided(jobs, cores, visible_gpus(os.environ))


def divided(jobs: int | None, cores: Sequence[int], gpus: Sequence[str]) -> list[Slot]:
    """Slots with a GPU each, or with equal shares of the cores.

    >>> divided(2, [0, 1, 2, 3], [])
    [Slot(number=0, cores=(0, 1), gpu=''), Slot(number=1, cores=(2, 3), gpu='')]
    >>> divided(None, [0, 1], ["0", "1"])
    [Slot(number=0, cores=(), gpu='0'), Slot(number=1, cores=(), gpu='1')]
    """
    count = jobs or len(gpus) or 1
    if gpus:
        if count > len(gpus):
            raise UserError(
                f"--jobs must be at most {len(gpus)}, the number of visible GPUs, "
                f"got {count}"
            )
        return [Slot(number, (), gpu) for number, gpu in enumerate(gpus[:count])]
    if count == 1 or not cores:
        return [Slot(number) for number in range(count)]
    share = max(1, len(cores) // count)
    return [
        Slot(
            number, tuple(cores[number * share : (number + 1) * share]) or tuple(cores)
        )
        for number in range(count)
    ]


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """The GPUs that JAX would use, found without JAX, which would take hold of them."""
    if environment.get("JAX_PLATFORMS", "").startswith("cpu") or not _has_plugin():
        return []
    if VISIBLE in environment:
        return [each for each in environment[VISIBLE].split(",") if each.strip()]
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    listed = subprocess.run(
        [command, "--query-gpu=index", "--format=csv,noheader"], capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    return listed.stdout.split() if listed.returncode == 0 else []


def _has_plugin() -> bool:
    """Whether JAX's plugin for CUDA is installed."""
    names = [each.name for each in importlib.metadata.entry_points(group="jax_plugins")]
    return any("cuda" in name for name in names)


def variables(slot: Slot, cache: str) -> dict[str, str]:
    """What the environment of a run in this slot has besides.

    Args:
      slot: of the run.
      cache: a folder for compiled programs. Two processes do not share one, as an entry
        is not written in one piece. If the user has chosen one, that one stays.
    """
    added = {VISIBLE: slot.gpu} if slot.gpu else {}
    if COMPILED not in os.environ:
        added[COMPILED] = str(pathlib.Path(cache).resolve() / str(slot.number))
    return added
