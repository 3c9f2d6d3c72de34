"""PGD on the cross-entropy, and the accuracies of weights with and without it."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

import ikl_jax
from ikl_jax.types import Array
from train.base.config import Config
from train.data.splits import Split
from train.devices import sharding
from train.evaluation.outputs import DeviceBatch, OutputsPass
from train.evaluation.predictions import AttackedImages, Predictions, joined
from train.recipes import recipe
from train.recipes.state import Weights

# Steps that are compiled as one program on CPU, where loops of convolutions are slow.
# A longer attack calls the program again from where it stopped.
CPU_CHUNK = 5


@dataclasses.dataclass(frozen=True)
class PgdAttack:
    """The settings of a PGD attack on the cross-entropy.

    Attributes:
      epsilon: radius in pixels of [0, 1].
      norm: "linf", "l2" or "l1".
      steps: of each restart.
      relative_step_size: in epsilons.
      restarts: uniform starts in the ball; 0: no attack at all.
    """

    epsilon: float
    norm: str = "linf"
    steps: int = 20
    relative_step_size: float = 0.25
    restarts: int = 1

    @property
    def name(self) -> str:
        repeated = f"x{self.restarts}" if self.restarts > 1 else ""
        norm = "" if self.norm == "linf" else f"_{self.norm}"
        return f"pgd{self.steps}{repeated}{norm}"

    @classmethod
    def of(cls, config: Config) -> "PgdAttack":
        """The attack that a run's config evaluates by."""
        evaluation = config.evaluation
        return cls(
            epsilon=config.attack.epsilon,
            norm=config.attack.norm,
            steps=evaluation.steps,
            relative_step_size=evaluation.relative_step_size,
            restarts=evaluation.restarts,
        )


def attack_arguments(attack: PgdAttack, seed: int) -> dict[str, Any]:
    """All that PGD depends on; nothing of it where there is no attack."""
    if not attack.restarts:
        return {"attack": "none"}
    return {
        "attack": "pgd",
        "norm": attack.norm,
        "epsilon": float(attack.epsilon),
        "steps": attack.steps,
        "relative_step_size": float(attack.relative_step_size),
        "restarts": attack.restarts,
        "seed": seed,
    }


def robust_accuracy(predictions: Predictions, attack: PgdAttack) -> dict[str, float]:
    """The robust accuracy by the attack's name; empty where there is none."""
    robust = predictions.robust_accuracy
    return {} if robust is None else {attack.name: robust}


class Evaluator:
    """Predictions for the examples and under PGD, compiled once for any weights."""

    def __init__(
        self, model: recipe.Model, split: Split, attack: PgdAttack, mesh: Mesh, *,
        num_classes: int, batch_size: int, seed: int = 0,
        between: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """An evaluator of weights of `model` on `split`.

        Args:
          model: takes images in [0, 1].
          split: the examples.
          attack: that they are attacked by.
          mesh: of the devices.
          num_classes: of the split; further logits of the model are padding.
          batch_size: a multiple of the devices along the mesh's axis `data`.
          seed: of the attack's random starts.
          between: is called before every attack on a batch; it may raise to interrupt.
        """
        self._model, self._settings, self._between = model, attack, between
        self._on_cpu = sharding.platform(mesh) == "cpu"
        self._outputs = OutputsPass(
            model, split, mesh, num_classes=num_classes, batch_size=batch_size
        )
        self._key = jax.random.key(seed)
        self._first = jax.jit(
            lambda arrays, count: jax.tree.map(lambda array: array[:count], arrays),
            static_argnums=1,
            out_shardings=sharding.replicated(mesh),  # so every process can read them
        )
        self._start = jax.jit(self._random_start)
        self._advance = jax.jit(self._steps, static_argnames="steps")

    def __call__(
        self, weights: Weights, limit: int | None = None, *, keep_logits: bool = False
    ) -> Predictions:
        """The predictions for the first `limit` examples of the split (None: all)."""
        return joined(
            self._batch(weights, batch, keep_logits)
            for batch in self._outputs.batches(limit)
        )

    def parts(self, weights: Weights, examples: np.ndarray) -> Iterator[Predictions]:
        """Batch by batch the predictions, with logits, at positions of the split."""
        for batch in self._outputs.batches_of(examples):
            yield self._batch(weights, batch, keep_logits=True)

    def is_finite(self, weights: Weights) -> bool:
        """Whether the logits of the first batch are finite numbers."""
        outputs = next(self._outputs(weights))
        return bool(np.isfinite(outputs.logits).all())

    def examples(self, weights: Weights, count: int = 8) -> AttackedImages:
        """The first `count` images of the split, attacked by the first restart."""
        batch = next(self._outputs.batches())
        count = min(count, int(batch.valid.sum()))
        x, labels = self._first((batch.x, batch.labels), count)
        images = AttackedImages(
            np.asarray(x), np.asarray(labels),
            self._outputs.of_batch(weights, batch).predicted[:count],
        )  # fmt: skip
        if not self._settings.restarts:
            return images
        x_adv = self._attack(weights, batch, 0)
        outputs = self._outputs.of_batch(weights, batch, x_adv)
        return images._replace(
            x_adv=np.asarray(self._first(x_adv, count)),
            adversarial=outputs.predicted[:count],
        )

    def _batch(
        self, weights: Weights, batch: DeviceBatch, keep_logits: bool
    ) -> Predictions:
        outputs = self._outputs.of_batch(weights, batch)
        resisted = []
        for restart in range(self._settings.restarts):
            self._between()
            x_adv = self._attack(weights, batch, restart)
            attacked = self._outputs.of_batch(weights, batch, x_adv)
            resisted.append(attacked.predicted == outputs.labels)
        return Predictions(
            outputs.indices, outputs.labels, outputs.predicted,
            np.stack(resisted) if resisted else None,
            outputs.logits if keep_logits else None,
        )  # fmt: skip

    def _attack(self, weights: Weights, batch: DeviceBatch, restart: int) -> Array:
        """Adversarial examples; those of an image do not depend on its batch."""
        x_adv = self._start(batch.x, batch.indices, restart)
        left = self._settings.steps
        chunk = CPU_CHUNK if self._on_cpu else left
        while left > 0:
            steps = min(chunk, left)
            x_adv = self._advance(weights, batch.x, x_adv, batch.labels, steps=steps)
            left -= steps
        return x_adv

    def _random_start(self, x: Array, indices: Array, restart: int) -> Array:
        key = jax.random.fold_in(self._key, restart)
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(indices)
        return ikl_jax.attacks.pgd(
            lambda x: jnp.zeros(len(x)), x, steps=0, step_size=0.0, key=keys,
            epsilon=self._settings.epsilon, norm=self._settings.norm,
        )  # fmt: skip

    def _steps(
        self, weights: Weights, x: Array, x_adv: Array, labels: Array, *, steps: int
    ) -> Array:
        def loss(x: Array) -> Array:
            logits = recipe.evaluate_logits(self._model, weights, x)
            return optax.losses.softmax_cross_entropy_with_integer_labels(
                logits, labels
            )

        settings = self._settings
        return ikl_jax.attacks.pgd(
            loss, x, steps=steps, x_init=x_adv, norm=settings.norm,
            epsilon=settings.epsilon,
            step_size=settings.relative_step_size * settings.epsilon,
        )  # fmt: skip
