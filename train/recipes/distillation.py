"""Distillation: cross-entropy, and any divergence towards a teacher.

The teacher's logits are part of the batch (`train/teachers/teacher.py` adds them), so
neither gradient nor donation nor checkpoint has anything to do with its weights. They
receive no gradient.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ikl_jax import ClassMeans
from ikl_jax.types import Array, PyTree
from train.base.config import LossConfig
from train.recipes import recipe
from train.recipes.accumulation import Accumulation, Outcome
from train.recipes.losses import DIVERGENCES, Coefficients, Target
from train.recipes.state import TrainState, Weights


class TaughtExamples(NamedTuple):
    """Examples of a step's batch.

    Attributes:
      image: uint8 `[B, H, W, K]`.
      label: `[B]`.
      teacher_logits: `[B, C]`.
      weights: `[B, C]`, of the squared error; None: the divergence takes none.
      key: `[B]`, a random key for each example; None: the model draws nothing.
    """

    image: Array
    label: Array
    teacher_logits: Array
    weights: Array | None
    key: Array | None = None


def build(task: recipe.Task) -> recipe.BuiltRecipe:
    loss = task.config.loss
    loss_fn = _loss(task)
    accumulation = Accumulation.of(task)
    divergence = DIVERGENCES[loss.name]

    def step(state: TrainState, batch: Any) -> tuple[TrainState, recipe.Metrics]:
        epoch = jnp.asarray(state.step) // task.steps_per_epoch
        strength = loss.strength * recipe.ramp(epoch, loss.warmup_epochs)
        weights = target_weights(loss, state.class_means, batch)
        split = accumulation.count > 1
        scale = divergence.scale(weights, loss.gamma) if split else None
        keys = recipe.keys_of(task.model, state.step_key(), len(batch["label"]))
        parts = accumulation.split(
            TaughtExamples(
                batch["image"], batch["label"], batch["teacher_logits"], weights, keys
            )
        )

        def part_loss(params: PyTree, part: TaughtExamples) -> tuple[Array, Outcome]:
            return loss_fn(params, state, part, strength, scale)

        grads, outcome = accumulation.gradient(part_loss, state.params, parts)
        means = state.class_means
        if means is not None:
            means = means.accumulate(
                batch["teacher_logits"],
                batch["label"],
                temperature=loss.weight_temperature,
            )
        state = state.apply_gradients(
            grads=grads, batch_stats=outcome.batch_stats, class_means=means
        )
        return state, outcome.metrics

    uses_class_means = divergence.uses_class_means(loss)
    return task.finish(step, uses_class_means=uses_class_means)


def divergence_from(
    loss: LossConfig, logits: Array, part: TaughtExamples, scale: Array | None = None
) -> Array:
    """The divergence that `loss` names, `[B]`; the teacher receives no gradient."""
    teacher_logits = jax.lax.stop_gradient(part.teacher_logits)
    target = Target(teacher_logits, part.label, part.weights, scale)
    coefficients = Coefficients.of(loss, loss.temperature)
    return DIVERGENCES[loss.name].loss(logits, target, coefficients)


def target_weights(
    loss: LossConfig, means: ClassMeans | None, batch: Any
) -> Array | None:
    """Of the squared error: the class's mean of the teacher, or its own prediction."""
    if means is not None:
        return means.weights_for(batch["label"])
    if DIVERGENCES[loss.name].weights == "none":
        return None
    return jax.nn.softmax(batch["teacher_logits"] / loss.weight_temperature)


def _loss(task: recipe.Task) -> Callable[..., tuple[Array, Outcome]]:
    loss = task.config.loss

    def part_loss(
        params: PyTree,
        state: TrainState,
        part: TaughtExamples,
        strength: Array,
        scale: Array | None,
    ) -> tuple[Array, Outcome]:
        weights = Weights(params, state.batch_stats)
        x = recipe.to_pixels(part.image)
        logits, batch_stats = recipe.train_logits(task.model, weights, x, part.key)
        cross_entropy = recipe.cross_entropy(
            logits, part.label, task.num_classes, loss.label_smoothing
        )
        distillation = jnp.mean(divergence_from(loss, logits, part, scale))
        total = loss.cross_entropy * cross_entropy + strength * distillation
        metrics = {
            "loss": total,
            "cross_entropy": cross_entropy,
            "distillation": distillation,
            "natural_accuracy": recipe.accuracy(logits, part.label),
            "teacher_accuracy": recipe.accuracy(part.teacher_logits, part.label),
        }
        return total, Outcome(metrics, batch_stats)

    return part_loss


DISTILLATION = recipe.Recipe(
    "distillation",
    build,
    divergences=DIVERGENCES,
    needs_teacher=True,
)
