"""Distillation: cross-entropy, and KD, DKD, DKL, IKL or GKL towards a teacher.

The teacher's logits are part of the batch (`train/teachers/teacher.py` adds them), so
neither gradient nor donation nor checkpoint has anything to do with its weights.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import ikl_jax
from ikl_jax import ClassMeans
from ikl_jax.types import Array, PyTree
from train.base.config import Config
from train.recipes import divergences, recipe
from train.recipes.accumulation import Accumulation, Outcome
from train.recipes.state import TrainState, Weights


class Part(NamedTuple):
    """Some examples of a step's batch.

    Attributes:
      image: uint8 `[B, H, W, K]`.
      label: `[B]`.
      teacher_logits: `[B, C]`.
      weights: `[B, C]`, of the squared error; None: the loss has none.
    """

    image: Array
    label: Array
    teacher_logits: Array
    weights: Array | None


# `(logits, part, scale)` to one value per example; `scale` as in `divergences.scale`.
Loss = Callable[[Array, Part, Array | None], Array]


def build(task: recipe.Task) -> recipe.Recipe:
    config = task.config.loss
    loss_fn = _loss(task)
    accumulation = Accumulation.of(task)

    def step(state: TrainState, batch: Any) -> tuple[TrainState, recipe.Metrics]:
        epoch = jnp.asarray(state.step) // task.steps_per_epoch
        strength = config.strength * recipe.ramp(epoch, config.warmup_epochs)
        weights = _weights(config, state.class_means, batch)
        split = accumulation.count > 1
        scale = divergences.scale(config.name, config, weights) if split else None
        parts = accumulation.split(
            Part(batch["image"], batch["label"], batch["teacher_logits"], weights)
        )

        def loss(
            params: PyTree, part: Part, sums: ClassMeans | None
        ) -> tuple[Array, Outcome]:
            return loss_fn(params, state, part, sums, strength, scale)

        grads, outcome = accumulation.gradient(
            loss, state.params, parts, state.class_means
        )
        state = state.apply_gradients(
            grads=grads,
            batch_stats=outcome.batch_stats,
            class_means=outcome.class_means,
        )
        return state, outcome.metrics

    return task.finish(step, uses_class_means=divergences.uses_class_means(config))


def create(config: Config) -> Loss:
    """The distillation loss that `config.loss` names; the teacher gets no gradient."""
    named = LOSSES[config.name]

    def loss(logits: Array, part: Part, scale: Array | None = None) -> Array:
        target = jax.lax.stop_gradient(part.teacher_logits)
        return named(config, logits, part._replace(teacher_logits=target), scale)

    return loss


def _loss(task: recipe.Task) -> Callable[..., tuple[Array, Outcome]]:
    config = task.config.loss
    distance = create(config)

    def loss(
        params: PyTree,
        state: TrainState,
        part: Part,
        sums: ClassMeans | None,
        strength: Array,
        scale: Array | None,
    ) -> tuple[Array, Outcome]:
        weights = Weights(params, state.batch_stats)
        x = recipe.to_pixels(part.image)
        logits, batch_stats = recipe.train_logits(task.model, weights, x)
        cross_entropy = recipe.cross_entropy(
            logits, part.label, task.num_classes, config.label_smoothing
        )
        distillation = jnp.mean(distance(logits, part, scale))
        total = config.cross_entropy * cross_entropy + strength * distillation
        metrics = {
            "loss": total,
            "cross_entropy": cross_entropy,
            "distillation": distillation,
            "natural_accuracy": recipe.accuracy(logits, part.label),
            "teacher_accuracy": recipe.accuracy(part.teacher_logits, part.label),
        }
        if sums is not None:
            sums = sums.accumulate(
                part.teacher_logits, part.label, temperature=config.weight_temperature
            )
        return total, Outcome(metrics, batch_stats, sums)

    return loss


def _weights(config: Config, means: ClassMeans | None, batch: Any) -> Array | None:
    """Of the squared error: the class's mean of the teacher, or its own prediction."""
    if means is not None:
        return means.weights_for(batch["label"])
    if config.name not in ("ikl", "gkl"):
        return None
    return jax.nn.softmax(batch["teacher_logits"] / config.weight_temperature)


def _kd(config: Config, logits: Array, part: Part, _: Array | None) -> Array:
    return ikl_jax.kd_loss(logits, part.teacher_logits, temperature=config.temperature)


def _dkd(config: Config, logits: Array, part: Part, _: Array | None) -> Array:
    return ikl_jax.dkd_loss(
        logits, part.teacher_logits, part.label, alpha=config.alpha,
        beta=config.beta, temperature=config.temperature,
    )  # fmt: skip


def _dkl(config: Config, logits: Array, part: Part, _: Array | None) -> Array:
    """Its squared error stops the student, who sees the soft cross-entropy alone."""
    logits, target = (x / config.temperature for x in (logits, part.teacher_logits))
    return ikl_jax.dkl_loss(logits, target, alpha=config.alpha, beta=config.beta)


def _ikl(config: Config, logits: Array, part: Part, _: Array | None) -> Array:
    return ikl_jax.ikl_loss(
        logits, part.teacher_logits, part.weights, alpha=config.alpha,
        beta=config.beta, temperature=config.temperature,
    )  # fmt: skip


def _gkl(config: Config, logits: Array, part: Part, scale: Array | None) -> Array:
    if scale is None:
        return ikl_jax.gkl_loss(
            logits, part.teacher_logits, part.weights, alpha=config.alpha,
            beta=config.beta, gamma=config.gamma, temperature=config.temperature,
        )  # fmt: skip
    assert part.weights is not None
    weights = divergences.scaled(part.weights, config.gamma, scale)
    return _ikl(config, logits, part._replace(weights=weights), None)


LOSSES: dict[str, Callable[[Config, Array, Part, Array | None], Array]] = {
    "kd": _kd,
    "dkd": _dkd,
    "dkl": _dkl,
    "ikl": _ikl,
    "gkl": _gkl,
}
