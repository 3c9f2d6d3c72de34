"""A judgement by AutoAttack, which goes on where it was stopped."""

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding
from rich.console import Console

import ikl_jax
from ikl_jax import checks
from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.ensemble import versions
from ikl_jax.attacks.ensemble.autoattack import fingerprint
from ikl_jax.attacks.ensemble.passes import Progress, Record
from ikl_jax.attacks.ensemble.result import Result
from ikl_jax.types import Array, LogitsFn
from train.base.errors import explained
from train.base.progress import ProgressPrinter
from train.evaluation import target
from train.evaluation.autoattack import distances
from train.evaluation.autoattack.journal import Journal
from train.evaluation.autoattack.remaining import CompileTime, RemainingTime
from train.evaluation.judgement import Judgement, Kind, Options
from train.evaluation.measures import measured
from train.evaluation.outputs import OutputsPass, joined
from train.evaluation.pgd import PgdAttack
from train.evaluation.predictions import Predictions
from train.evaluation.target import Target
from train.recipes import recipe
from train.recipes.attack import check_epsilon


@dataclasses.dataclass(frozen=True)
class Attacked:
    """What AutoAttack is called with."""

    logits_fn: LogitsFn
    x: np.ndarray
    labels: np.ndarray
    norm: str
    epsilon: float
    version: str | list[str]
    seed: int
    batch_size: int
    sharding: Sharding

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments that the result depends on, besides network and examples."""
        return {
            "epsilon": self.epsilon, "norm": self.norm, "version": self.version,
            "key": jax.random.key(self.seed),
        }  # fmt: skip

    @property
    def stages(self) -> list[str]:
        """The stage of each pass."""
        classifier = Classifier.of(self.logits_fn, jnp.asarray(self.x[:1]))
        passes = versions.passes(self.version, classifier, self.epsilon, self.norm)
        return [single.stage for single in passes]

    @property
    def version_name(self) -> str:
        version = self.version
        return version if isinstance(version, str) else "+".join(version)


def judge(evaluated: Target, options: Options, console: Console) -> Iterator[Judgement]:
    """Robust accuracy after each attack, and then, if asked, the distances.

    Its journal in the workdir holds what is done already, and stays there.
    """
    with explained():
        attacked = _attacked(evaluated, options)
        stages = attacked.stages
    count = len(attacked.labels)
    name = (
        f"autoattack {attacked.version_name} ({attacked.norm}) at {attacked.epsilon:g}"
    )
    judgement = Judgement(
        f"{name}, {evaluated.name}, {evaluated.described_part(count)}",
        {
            "attack": "autoattack",
            "version": attacked.version_name,
            "norm": attacked.norm,
            "epsilon": float(attacked.epsilon),
            "seed": attacked.seed,
            **evaluated.arguments(count),
        },
        {}, {},
    )  # fmt: skip
    with explained():
        result, broken_in = _run(attacked, evaluated, judgement, stages, console)
    predictions = _predictions(evaluated, count)
    judgement = judgement.extended(
        {
            **evaluated.description(attacked.labels),
            **measured(predictions, evaluated.data, evaluated.config),
            **_results(result),
        },
        {
            "index": predictions.indices,
            "label": predictions.labels,
            "predicted": predictions.predicted,
            "logits": np.asarray(predictions.logits),
            **_robust_after(result, broken_in, stages),
        },
    )
    yield judgement
    if options.picture:
        yield judgement.extended(
            *distances.found(
                attacked.logits_fn, attacked.x, attacked.labels, result, console,
                batch_size=attacked.batch_size, sharding=attacked.sharding,
            )
        )  # fmt: skip


def _attacked(evaluated: Target, options: Options) -> Attacked:
    """The first examples of the target's data, and the attack that is asked for."""
    config, defaults = evaluated.config, PgdAttack.of(evaluated.config)
    x, labels = target.images(evaluated.data, options.num_examples)
    num_classes = evaluated.data.num_classes

    def logits_fn(x: Array) -> Array:
        logits = recipe.evaluate_logits(evaluated.model, evaluated.weights, x)
        # The other columns are padding, which no attack needs to aim at.
        return logits if logits.shape[1] == num_classes else logits[:, :num_classes]

    epsilon = defaults.epsilon if options.epsilon is None else options.epsilon
    norm = options.norm or defaults.norm
    checks.positive(epsilon=epsilon)
    check_epsilon("epsilon", norm, epsilon, evaluated.data.image_shape)
    return Attacked(
        logits_fn, x, labels, norm=norm, epsilon=epsilon,
        version=_attacks(options.version or "standard"), seed=options.seed or 0,
        batch_size=config.evaluation.batch_size,
        sharding=evaluated.sharding,
    )  # fmt: skip


def _attacks(version: str) -> str | list[str]:
    """A version's name, or a list of names of attacks that have commas between them."""
    known = set(versions.VERSIONS) - set(versions.RANDOMISED)
    if version in versions.ATTACKS or "," in version:
        return version.split(",")
    checks.one_of("version", version, known)
    return version


def _run(
    attacked: Attacked,
    evaluated: Target,
    judgement: Judgement,
    stages: list[str],
    console: Console,
) -> tuple[Result, np.ndarray]:
    """The result, and the number of the pass that broke each example (-1: none)."""
    journal = Journal(
        evaluated.workdir / f"{judgement.file_name}.journal",
        fingerprint(
            attacked.logits_fn, attacked.x, attacked.labels, **attacked.arguments
        ),
    )
    compiling = CompileTime()
    report = _Report(journal, len(attacked.labels), stages, compiling, console)
    if journal.records:
        console.print(
            f"going on after {len(journal.records)} batches in {journal.path}",
            highlight=False,
        )
    try:
        with compiling, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # they are the notes
            result = ikl_jax.attacks.autoattack(
                attacked.logits_fn, attacked.x, attacked.labels, **attacked.arguments,
                batch_size=attacked.batch_size, sharding=attacked.sharding,
                journal=journal.records, report=report,
            )  # fmt: skip
    finally:
        journal.close()
    return result, report.broken_in


def _predictions(evaluated: Target, count: int) -> Predictions:
    outputs = joined(
        OutputsPass(
            evaluated.model, evaluated.data.test, evaluated.mesh,
            num_classes=evaluated.data.num_classes,
            batch_size=evaluated.config.evaluation.batch_size,
        )(evaluated.weights, count)
    )  # fmt: skip
    return Predictions(
        outputs.indices, outputs.labels, outputs.predicted, logits=outputs.logits
    )


def _results(result: Result) -> dict[str, Any]:
    """The fields of a record that AutoAttack itself finds."""
    clean, *stages = result.stages
    norm = "" if result.norm == "linf" else f"_{result.norm}"
    return {
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


def _robust_after(
    result: Result, broken_in: np.ndarray, stages: list[str]
) -> dict[str, np.ndarray]:
    """Whether each example is robust at the end, and after each stage `[S, N]`."""
    names = list(dict.fromkeys(stages))
    stage_of = np.array([names.index(stage) for stage in stages])
    broken = np.where(broken_in < 0, len(names), stage_of[broken_in])
    # Misclassified before any attack.
    broken = np.where((broken_in < 0) & ~result.robust, -1, broken)
    return {
        "robust": result.robust,
        "stages": np.array(names),
        "robust_after": broken > np.arange(len(names))[:, None],
    }


class _Report:
    """Keeps each record in the journal, and prints from time to time how far it is.

    Attributes:
      broken_in: `[N]`, the number of the pass that broke each example; -1: none so far.
    """

    def __init__(
        self,
        journal: Journal,
        count: int,
        stages: list[str],
        compiling: CompileTime,
        console: Console,
    ) -> None:
        self.broken_in = np.full(count, -1)
        self._journal, self._printer = journal, ProgressPrinter(console)
        self._remaining, self._compiling = RemainingTime(stages), compiling
        for record in journal.records:
            self._note(record, 0.0)

    def __call__(self, record: Record, progress: Progress) -> None:
        self._journal.add(record)
        self._note(record, self._compiling.within(record.seconds))
        self._printer.line(
            f"pass {progress.number + 1}/{progress.passes}  robust so far "
            f"{100 * progress.robust_accuracy:.2f}%",
            self._remaining.seconds(progress.robust),
            at_most=True,
        )

    def _note(self, record: Record, compiling: float) -> None:
        self._remaining.add(record, compiling)
        self.broken_in[record.rows[record.broken]] = record.number


KIND = Kind(("norm", "epsilon", "version", "seed"), judge)
