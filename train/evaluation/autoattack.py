"""AutoAttack on a target, told as it goes on, and able to go on."""

import dataclasses
import pathlib
import re
import time
import warnings
from typing import Any

import jax
import numpy as np
from jax.sharding import Sharding
from rich.console import Console

import ikl_jax
from ikl_jax import checks
from ikl_jax.attacks.common import geometry
from ikl_jax.attacks.ensemble import versions
from ikl_jax.attacks.ensemble.autoattack import Result, fingerprint
from ikl_jax.attacks.ensemble.passes import Progress, Record
from ikl_jax.types import Array, LogitsFn
from train.devices import sharding
from train.evaluation import target
from train.evaluation.journal import Journal
from train.evaluation.pgd import PgdAttack
from train.evaluation.predictions import AttackedImages
from train.recipes import recipe
from train.reports import pictures

CURVE_TARGETS = 3  # classes that the search for distances is made towards
CURVE_REACH, CURVE_POINTS = 2.0, 21  # in epsilons, of what evaluation.json holds


@dataclasses.dataclass(frozen=True)
class AutoAttackRun:
    """A network, examples and a threat, as attacks take them."""

    logits_fn: LogitsFn
    x: np.ndarray
    labels: np.ndarray
    threat: PgdAttack
    batch_size: int
    divided: Sharding
    workdir: pathlib.Path
    name: str

    @classmethod
    def of(
        cls, judged: target.Target, threat: PgdAttack, num_examples: int | None
    ) -> "AutoAttackRun":
        """On the first `num_examples` of the target's data (None: all)."""
        x, labels = target.examples(judged.data, num_examples)

        def logits_fn(x: Array) -> Array:
            return recipe.evaluate_logits(judged.model, judged.weights, x)

        size, divided = judged.config.evaluation.batch_size, judged.mesh
        return cls(
            logits_fn, x, labels, threat, size, sharding.over_batch(divided),
            judged.workdir, judged.name,
        )  # fmt: skip

    def evaluate(self, version: str, seed: int, console: Console) -> Result:
        """AutoAttack; its journal in the workdir is gone on with, and stays there.

        Args:
          version: of AutoAttack, for networks that are not randomised, or names of
            attacks with commas between them.
          seed: of the random key.
          console: is told how it goes on.

        Raises:
          UserError: the journal is of other weights, images or another seed.
          ValueError, TypeError: what `ikl_jax.attacks.autoattack` raises.
        """
        asked: dict[str, Any] = {
            "epsilon": self.threat.epsilon, "norm": self.threat.norm,
            "version": _attacks(version), "key": jax.random.key(seed),
        }  # fmt: skip
        path = self._journal(version)
        journal = Journal(
            path, fingerprint(self.logits_fn, self.x, self.labels, **asked)
        )
        if journal.records:
            console.print(
                f"going on after {len(journal.records)} batches in {path}",
                highlight=False,
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # they are the notes
                return ikl_jax.attacks.autoattack(
                    self.logits_fn, self.x, self.labels, **asked,
                    batch_size=self.batch_size, sharding=self.divided,
                    journal=journal.records, report=_Report(journal, console),
                )  # fmt: skip
        finally:
            journal.close()

    def _journal(self, version: str) -> pathlib.Path:
        """A file for each version, threat, number of examples and kind of weights."""
        threat, count = self.threat, len(self.x)
        told = f"{version} {threat.norm} {threat.epsilon:g} {count} {self.name}"
        name = re.sub(r"[^\w.-]+", "-", f"autoattack {told}")
        return self.workdir / f"{name}.journal"

    def draw(self, result: Result, console: Console) -> dict[str, Any]:
        """Writes `autoattack.png`; returns its curve for `evaluation.json`."""
        distances = self._distances(result, console)
        epsilons = np.linspace(0.0, CURVE_REACH * result.epsilon, CURVE_POINTS)
        fell = np.flatnonzero((distances > 0) & ~result.robust)[: pictures.COUNT]
        path = self.workdir / "autoattack.png"
        shown = self._shown(fell, result) if len(fell) else None
        pictures.save_robustness(path, distances, result, shown)
        console.print(f"picture: {path}", highlight=False)
        accuracies = [float(np.mean(distances > epsilon)) for epsilon in epsilons]
        return {
            "curve": {
                "epsilon": [round(float(epsilon), 6) for epsilon in epsilons],
                "robust_accuracy": accuracies,
            }
        }

    def _distances(self, result: Result, console: Console) -> np.ndarray:
        """`[N]`, of the nearest that FAB, or an attack of `result`, has found."""
        size = geometry.norm_named(result.norm).size
        flat = lambda array: np.asarray(array, np.float64).reshape(len(array), -1)
        within = np.minimum(size(flat(result.x_adv) - flat(self.x)), result.epsilon)
        progress = _Progress(console, "distances")
        nearest = ikl_jax.attacks.distances(
            self.logits_fn, self.x, self.labels, norm=result.norm,
            targets=CURVE_TARGETS, batch_size=self.batch_size, sharding=self.divided,
            report=progress,
        )  # fmt: skip
        return np.where(result.robust, nearest, np.minimum(nearest, within))

    def _shown(self, rows: np.ndarray, result: Result) -> AttackedImages:
        predict = jax.jit(lambda x: self.logits_fn(x).argmax(axis=-1))
        x, x_adv = self.x[rows], result.x_adv[rows]
        natural, adversarial = (np.asarray(predict(part)) for part in (x, x_adv))
        return AttackedImages(x, self.labels[rows], natural, x_adv, adversarial)


def _attacks(version: str) -> str | list[str]:
    known = set(versions.VERSIONS) - set(versions.RANDOMISED)
    if version in versions.ATTACKS or "," in version:
        return version.split(",")
    checks.one_of("version", version, known)
    return version


def told(result: Result) -> dict[str, Any]:
    """What `evaluation.json` holds of a result."""
    clean, *stages = result.stages
    norm = "" if result.norm == "linf" else f"_{result.norm}"
    return {
        "num_examples": len(result.robust),
        "epsilon": result.epsilon,
        "norm": result.norm,
        "natural_accuracy": clean.robust_accuracy,
        "robust_accuracy": {
            f"autoattack_{result.version}{norm}": result.robust_accuracy
        },
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


class _Progress:
    """Says from time to time how much is done, and how long the rest will take."""

    EVERY = 10.0  # seconds between lines

    def __init__(self, console: Console, what: str) -> None:
        self._console, self._what = console, what
        self._start = self._told = time.monotonic()

    def __call__(self, share: float, what: str = "") -> None:
        now = time.monotonic()
        if now - self._told < self.EVERY:
            return
        self._told = now
        eta = f"{(now - self._start) / share * (1 - share):.0f}s" if share else "?"
        self._console.print(
            f"{what or self._what}  {100 * share:.0f}% done  ETA {eta}", highlight=False
        )


class _Report:
    """Writes each record down, and says from time to time how it stands."""

    def __init__(self, journal: Journal, console: Console) -> None:
        self._journal = journal
        self._progress = _Progress(console, "")
        self._first: int | None = None

    def __call__(self, record: Record, progress: Progress) -> None:
        self._journal.add(record)
        if self._first is None:
            self._first = record.number
        done = (progress.number - self._first) / (progress.passes - self._first)
        self._progress(
            done,
            f"pass {progress.number + 1}/{progress.passes}  robust so far "
            f"{100 * progress.robust_accuracy:.2f}%",
        )
