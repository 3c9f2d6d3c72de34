"""What AutoAttack is called with, and the call."""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding

import ikl_jax
from ikl_jax import checks
from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.ensemble import versions
from ikl_jax.attacks.ensemble.autoattack import fingerprint
from ikl_jax.attacks.ensemble.passes import Record
from ikl_jax.attacks.ensemble.result import Result
from ikl_jax.types import Array, LogitsFn
from train.evaluation import target
from train.evaluation.autoattack.report import Report
from train.evaluation.batch_attack import PgdAttack
from train.evaluation.judgement import Options
from train.evaluation.target import Target
from train.recipes import recipe
from train.recipes.attack import check_epsilon


@dataclasses.dataclass(frozen=True)
class Attacked:
    """What AutoAttack is called with.

    Attributes:
      logits_fn: `[B, H, W, K]` to `[B, C]`.
      x: `[N, H, W, K]` in [0, 1].
      labels: `[N]`.
      norm: "linf", "l2" or "l1".
      epsilon: radius of the ball.
      version: of AutoAttack, or the names of attacks.
      seed: of its random numbers.
      batch_size: examples in one call.
      sharding: of a batch over this process's devices.
    """

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

    @property
    def fingerprint(self) -> str:
        """A short text that differs for other weights, examples or arguments."""
        return fingerprint(self.logits_fn, self.x, self.labels, **self.arguments)

    def part(self, rows: np.ndarray) -> "Attacked":
        """The same attack on some of the examples."""
        return dataclasses.replace(self, x=self.x[rows], labels=self.labels[rows])

    def result(self, records: Sequence[Record], report: Report) -> Result:
        """Makes the attack, from earlier records on. Its warnings are in its notes."""
        with report.compiling, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return ikl_jax.attacks.autoattack(
                self.logits_fn, self.x, self.labels, **self.arguments,
                batch_size=self.batch_size, sharding=self.sharding,
                journal=records, report=report,
            )  # fmt: skip


def of_target(evaluated: Target, options: Options) -> Attacked:
    """The first examples of the target's data, and the attack that is asked for.

    Raises:
      ValueError: an option is out of its range, or unknown.
    """
    defaults = PgdAttack.of(evaluated.config)
    x, labels = target.images(evaluated.data, options.num_examples)
    epsilon = defaults.epsilon if options.epsilon is None else options.epsilon
    norm = options.norm or defaults.norm
    checks.positive(epsilon=epsilon)
    check_epsilon("epsilon", norm, epsilon, evaluated.data.image_shape)
    return dataclasses.replace(
        of_images(evaluated, x, labels, norm), epsilon=epsilon,
        version=_attacks(options.version or "standard"), seed=options.seed or 0,
    )  # fmt: skip


def of_images(
    evaluated: Target, x: np.ndarray, labels: np.ndarray, norm: str
) -> Attacked:
    """Images `[N, H, W, K]` in [0, 1] and labels `[N]`; the rest has its defaults."""
    num_classes = evaluated.data.num_classes

    def logits_fn(x: Array) -> Array:
        logits = recipe.evaluate_logits(evaluated.model, evaluated.weights, x)
        # The other columns are padding, which no attack needs to aim at.
        return logits if logits.shape[1] == num_classes else logits[:, :num_classes]

    return Attacked(
        logits_fn, x, labels, norm=norm, epsilon=evaluated.config.attack.epsilon,
        version="standard", seed=0, batch_size=evaluated.config.evaluation.batch_size,
        sharding=evaluated.sharding,
    )  # fmt: skip


def _attacks(version: str) -> str | list[str]:
    """A version's name, or a list of names of attacks that have commas between them."""
    known = set(versions.VERSIONS) - set(versions.RANDOMISED)
    if version in versions.ATTACKS or "," in version:
        return version.split(",")
    checks.one_of("version", version, known)
    return version
