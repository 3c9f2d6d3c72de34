"""PGD on the cross-entropy, on the devices, batch by batch."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

import ikl_jax
from ikl_jax.types import Array
from train.base.config import Config
from train.devices import sharding
from train.evaluation.outputs import DeviceBatch
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


class BatchAttack:
    """PGD on batches of a split, compiled once for any weights of one model."""

    def __init__(
        self, model: recipe.Model, attack: PgdAttack, mesh: Mesh, *, seed: int
    ) -> None:
        """An attack on a model that takes images in [0, 1].

        Args:
          model: that is attacked.
          attack: its settings.
          mesh: of the devices.
          seed: of the random starts.
        """
        self._model, self._settings = model, attack
        self._on_cpu = sharding.platform(mesh) == "cpu"
        self._key = jax.random.key(seed)
        self._start = jax.jit(self._random_start)
        self._advance = jax.jit(self._steps, static_argnames="steps")

    def __call__(self, weights: Weights, batch: DeviceBatch, restart: int) -> Array:
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
