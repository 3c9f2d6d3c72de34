"""Distillation: cross-entropy, and any divergence towards a teacher.

The teacher's logits are part of the batch (`train/teachers/teacher.py` adds them), so
neither gradient nor donation nor checkpoint has anything to do with its weights. They
receive no gradient.

In a sequence of tasks the teacher is the model of the task before (learning without
forgetting). The divergence is between the logits of the classes that it knows, cut out
of both sides; the cross-entropy is over all classes seen so far, or over those of the
label's own task.

References: Li and Hoiem, "Learning without Forgetting",
https://arxiv.org/abs/1606.09282, 2016.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax import ClassMeans
from ikl_jax.types import Array, PyTree
from train.base.config import LossConfig
from train.recipes import recipe
from train.recipes.accumulation import Accumulation, Outcome
from train.recipes.losses import DIVERGENCES, Coefficients, Target
from train.recipes.state import TrainState, Weights

Columns = slice | np.ndarray
EVERY = slice(None)


class TaughtExamples(NamedTuple):
    """Examples of a step's batch.

    Attributes:
      image: uint8 `[B, H, W, K]`.
      label: `[B]`.
      teacher_logits: `[B, C]`.
      weights: `[B, D]`, of the squared error, for the classes that the teacher knows;
        None: the divergence takes none.
      key: `[B]`, a random key for each example; None: the model draws nothing.
    """

    image: Array
    label: Array
    teacher_logits: Array
    weights: Array | None
    key: Array | None = None


def build(task: recipe.Task) -> recipe.BuiltRecipe:
    loss = task.config.loss
    loss_fn, among = _loss(task), _taught_columns(task)
    accumulation = Accumulation.of(task)
    divergence = DIVERGENCES[loss.name]

    def step(state: TrainState, batch: Any) -> tuple[TrainState, recipe.Metrics]:
        epoch = jnp.asarray(state.step) // task.steps_per_epoch
        strength = loss.strength * recipe.ramp(epoch, loss.warmup_epochs)
        weights = target_weights(loss, state.class_means, batch, among)
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
    loss: LossConfig,
    logits: Array,
    part: TaughtExamples,
    scale: Array | None = None,
    among: Columns = EVERY,
) -> Array:
    """The divergence that `loss` names, `[B]`; the teacher receives no gradient.

    Args:
      loss: the section of the config.
      logits: `[B, C]`, the student's.
      part: the examples; weights are of the columns `among` already.
      scale: `Target.scale` of the whole batch.
      among: the columns that are compared, of both logits; every softmax is over these.
    """
    teacher_logits = jax.lax.stop_gradient(part.teacher_logits)[:, among]
    target = Target(teacher_logits, part.label, part.weights, scale)
    coefficients = Coefficients.of(loss, loss.temperature)
    return DIVERGENCES[loss.name].loss(logits[:, among], target, coefficients)


def target_weights(
    loss: LossConfig, means: ClassMeans | None, batch: Any, among: Columns = EVERY
) -> Array | None:
    """Of the squared error: the class's mean of the teacher, or its own prediction.

    The mean of a class that the teacher does not know is that of its predictions for
    the class's images: it says with which known classes it confuses them.
    """
    if means is not None:
        return means.weights_for(batch["label"])[:, among]
    if DIVERGENCES[loss.name].weights == "none":
        return None
    return jax.nn.softmax(batch["teacher_logits"][:, among] / loss.weight_temperature)


def _taught_columns(task: recipe.Task) -> Columns:
    """The columns of the logits that a teacher knows; padding stays with all classes.

    In a task that is no padding, whose weight would be 1 at gamma = 0.
    """
    if not task.config.continual.task:
        return EVERY
    return np.asarray(task.taught_classes)


def _loss(task: recipe.Task) -> Callable[..., tuple[Array, Outcome]]:
    loss, among = task.config.loss, _taught_columns(task)

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
        cross_entropy = task.cross_entropy(logits, part.label)
        distillation = jnp.mean(divergence_from(loss, logits, part, scale, among))
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
    learns_tasks=True,
)
