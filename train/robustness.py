"""AutoAttack on weights and a split, told as it goes on, and able to go on."""

import pathlib
import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from rich.console import Console

import ikl_jax
from ikl_jax import checks
from ikl_jax.attacks import versions
from ikl_jax.attacks.autoattack import Result, fingerprint
from ikl_jax.attacks.ensemble import Record, Standing
from ikl_jax.types import Array
from train import sharding
from train.data.splits import Split
from train.journal import Journal


def evaluate(
    logits_fn: Callable[..., Array],
    split: Split,
    *,
    epsilon: float,
    norm: str,
    version: str,
    seed: int,
    batch_size: int,
    num_examples: int | None,
    mesh: Mesh,
    journal: pathlib.Path,
    console: Console,
) -> Result:
    """AutoAttack on the first `num_examples` of a split (None: all).

    A journal that is there is gone on with; it stays until the caller deletes it.

    Raises:
      UserError: the journal is of another evaluation.
      ValueError, TypeError: what `ikl_jax.attacks.autoattack` raises.
    """
    checks.one_of("version", version, set(versions.VERSIONS) - set(versions.RANDOMISED))
    count = min(num_examples or len(split), len(split))
    batch = split.take(np.arange(count))
    x = batch["image"].astype(np.float32) / 255
    asked: dict[str, Any] = {
        "epsilon": epsilon, "norm": norm, "version": version,
        "key": jax.random.key(seed),
    }  # fmt: skip
    told = fingerprint(logits_fn, x, batch["label"], **asked)
    kept = Journal(journal, told)
    if kept.records:
        console.print(
            f"going on after {len(kept.records)} batches in {journal}", highlight=False
        )
    report = _Report(kept, console)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # they are the notes
            return ikl_jax.attacks.autoattack(
                logits_fn, x, batch["label"], **asked, batch_size=batch_size,
                sharding=sharding.over_batch(mesh), journal=kept.records,
                report=report,
            )  # fmt: skip
    finally:
        kept.close()


def told(result: Result) -> dict[str, Any]:
    """What `evaluation.json` holds of a result."""
    clean, *stages = result.stages
    return {
        "num_examples": len(result.robust),
        "epsilon": result.epsilon,
        "norm": result.norm,
        "natural_accuracy": clean.robust_accuracy,
        "robust_accuracy": {f"autoattack_{result.version}": result.robust_accuracy},
        "stages": [
            {
                "attack": stage.name,
                "robust_accuracy": stage.robust_accuracy,
                "seconds": round(stage.seconds, 2),
            }
            for stage in stages
        ],
        "seconds": round(result.seconds, 2),
        "notes": list(result.notes),
        "key": list(result.key),
        "versions": result.versions,
    }


class _Report:
    """Writes each record down, and says from time to time how it stands."""

    EVERY = 10.0  # seconds between lines

    def __init__(self, journal: Journal, console: Console) -> None:
        self._journal, self._console = journal, console
        self._start = self._told = time.monotonic()
        self._first: int | None = None

    def __call__(self, record: Record, standing: Standing) -> None:
        self._journal.add(record)
        if self._first is None:
            self._first = record.number
        now = time.monotonic()
        if now - self._told < self.EVERY:
            return
        self._told = now
        done = standing.number - self._first
        left = standing.passes - standing.number
        eta = f"{(now - self._start) / done * left:.0f}s" if done else "?"
        self._console.print(
            f"pass {standing.number + 1}/{standing.passes}  robust so far "
            f"{100 * standing.robust_accuracy:.2f}%  ETA {eta}",
            highlight=False,
        )
