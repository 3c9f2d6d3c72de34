"""Natural and PGD accuracy of weights on a split."""

import dataclasses
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

import ikl_jax
from ikl_jax.types import Array
from train.base.config import Config
from train.data import pipeline
from train.data.splits import Split
from train.devices import sharding
from train.evaluation.predictions import AttackedImages, Predictions
from train.recipes import recipe
from train.recipes.state import Weights

# Steps compiled as one program on CPU, where loops of convolutions are slow: longer
# attacks call it again from where it stopped.
CPU_CHUNK = 5


@dataclasses.dataclass(frozen=True)
class PgdAttack:
    """A PGD attack on the cross-entropy, as evaluation uses it.

    Attributes:
      epsilon: radius in pixels of [0, 1].
      norm: "linf" or "l2".
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
        evaluation = config.evaluation
        return cls(
            epsilon=config.attack.epsilon,
            norm=config.attack.norm,
            steps=evaluation.steps,
            relative_step_size=evaluation.relative_step_size,
            restarts=evaluation.restarts,
        )


class Evaluator:
    """Compiled once, for any weights of one model."""

    def __init__(
        self, model: recipe.Model, split: Split, attack: PgdAttack, mesh: Mesh, *,
        batch_size: int, seed: int = 0, between: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """`between` is called again and again, so that it can raise to interrupt."""
        self._split, self._settings, self._mesh = split, attack, mesh
        self._between = between
        divided = mesh.shape["data"]
        self._batch_size = min(batch_size, -(-len(split) // divided) * divided)
        everywhere = sharding.replicated(mesh)  # so every process can read it
        self._key = jax.random.key(seed)
        self._model = model
        self._to_pixels = jax.jit(recipe.to_pixels)
        self._predict = jax.jit(self._prediction)
        self._right = jax.jit(
            lambda weights, x, labels: (self._prediction(weights, x) == labels, labels),
            out_shardings=everywhere,
        )
        self._first = jax.jit(
            lambda arrays, count: jax.tree.map(lambda array: array[:count], arrays),
            static_argnums=1,
            out_shardings=everywhere,
        )
        self._all_finite = jax.jit(
            lambda weights, x: jnp.isfinite(
                recipe.evaluate_logits(model, weights, x)
            ).all()
        )
        self._start = jax.jit(self._random_start)
        self._advance = jax.jit(self._steps, static_argnames="steps")

    def __call__(self, weights: Weights, limit: int | None = None) -> Predictions:
        """The verdict on the first `limit` examples of the split (None: all)."""
        limit = len(self._split) if limit is None else min(limit, len(self._split))
        told, natural, robust = [], [], []
        for (x, labels, index), valid in self._batches(limit):
            right, shown = map(np.asarray, self._right(weights, x, labels))
            told.append(shown[valid])
            natural.append(right[valid])
            for restart in range(self._settings.restarts):
                self._between()
                x_adv = self._attack(weights, x, labels, index, restart)
                right = right & np.asarray(self._right(weights, x_adv, labels)[0])
            robust.append(right[valid])
        attacked = np.concatenate(robust) if self._settings.restarts else None
        return Predictions(np.concatenate(told), np.concatenate(natural), attacked)

    def is_finite(self, weights: Weights) -> bool:
        """Whether the logits of the first batch are numbers."""
        (x, _, _), _ = next(self._batches(len(self._split)))
        return bool(self._all_finite(weights, x))

    def examples(self, weights: Weights, count: int = 8) -> AttackedImages:
        """The first `count` examples of the split and a first restart's attack."""
        (x, labels, index), _ = next(self._batches(len(self._split)))
        shown = (x, labels, self._predict(weights, x))
        if self._settings.restarts:
            x_adv = self._attack(weights, x, labels, index, 0)
            shown = (*shown, x_adv, self._predict(weights, x_adv))
        return AttackedImages(*map(np.asarray, self._first(shown, count)))

    def _batches(
        self, limit: int
    ) -> Iterator[tuple[tuple[Array, Array, Array], np.ndarray]]:
        """Images, labels and indices on the devices, and which rows are no padding."""
        for batch, valid in pipeline.evaluation_batches(
            self._split,
            self._batch_size,
            limit,
            lambda size: sharding.local_rows(size, self._mesh),
        ):
            arrays = sharding.put(batch, self._mesh, self._batch_size)
            x = self._to_pixels(arrays["image"])
            yield (x, arrays["label"], arrays["index"]), valid

    def _attack(
        self, weights: Weights, x: Array, labels: Array, index: Array, restart: int
    ) -> Array:
        """Adversarial examples; `index` seeds each one's start, whatever the batch."""
        x_adv = self._start(x, index, restart)
        left = self._settings.steps
        chunk = CPU_CHUNK if jax.default_backend() == "cpu" else left
        while left > 0:
            steps = min(chunk, left)
            x_adv = self._advance(weights, x, x_adv, labels, steps=steps)
            left -= steps
        return x_adv

    def _prediction(self, weights: Weights, x: Array) -> Array:
        return jnp.argmax(recipe.evaluate_logits(self._model, weights, x), axis=-1)

    def _random_start(self, x: Array, index: Array, restart: int) -> Array:
        key = jax.random.fold_in(self._key, restart)
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(index)
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
