"""The training step of the semi-supervised recipes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ikl_jax.types import Array, PyTree
from train.base.config import Config
from train.recipes import recipe
from train.recipes.losses import Target
from train.recipes.semi_supervised import consistency, pseudo_labels
from train.recipes.semi_supervised.branches import Branches, Images
from train.recipes.semi_supervised.pseudo_labels import PseudoLabels
from train.recipes.state import TrainState

# `(params, state, images)` to logits; the target is stopped where it is to be.
Forward = Callable[[PyTree, TrainState, Images], Branches]


def build(task: recipe.Task, forward: Forward) -> recipe.BuiltRecipe:
    """The recipe whose logits, the target's among them, `forward` gives."""
    config = task.config
    loss, threshold = config.loss, config.unlabelled.threshold
    rising = config.unlabelled.warmup * config.epochs * task.steps_per_epoch

    def loss_fn(
        params: PyTree, state: TrainState, batch: Any
    ) -> tuple[Array, tuple[Branches, PseudoLabels, recipe.Metrics]]:
        found = forward(params, state, Images.of(batch))
        means = state.class_means
        pseudo = PseudoLabels.of(found.target, threshold, loss, means)
        distance = masked_mean(config, found.prediction, found.target, pseudo)
        supervised = recipe.cross_entropy(
            found.labelled, batch["label"], task.num_classes, loss.label_smoothing
        )
        strength = loss.strength * _share(state.step, rising)
        total = loss.cross_entropy * supervised + strength * distance
        metrics = {
            "loss": total,
            "cross_entropy": supervised,
            "consistency": distance,
            "consistency_weight": strength,
            "natural_accuracy": recipe.accuracy(found.labelled, batch["label"]),
            "mask": pseudo.mask,
            "pseudo_label": pseudo.label,
        }
        return total, (found, pseudo, metrics)

    def step(state: TrainState, batch: Any) -> tuple[TrainState, recipe.Metrics]:
        gradient = jax.grad(loss_fn, has_aux=True)
        grads, (found, pseudo, metrics) = gradient(state.params, state, batch)
        means = pseudo_labels.added(state.class_means, found.target, pseudo, loss)
        state = state.apply_gradients(
            grads=grads, batch_stats=found.batch_stats, class_means=means
        )
        return state, metrics

    uses_class_means = consistency.CONSISTENCIES[loss.name].uses_class_means(loss)
    built = task.finish(step, uses_class_means=uses_class_means)
    return built._replace(judge=pseudo_labels.judge)


def masked_mean(
    config: Config, prediction: Array, target: Array, pseudo: PseudoLabels
) -> Array:
    """The consistency: the mean over all unlabelled images, zero for masked ones.

    Args:
      config: of the run.
      prediction: logits `[N, C]` of the strong views.
      target: logits `[N, C]`, stopped where they are to be.
      pseudo: the pseudo-labels of that target.
    """
    compared = Target(target, pseudo.label, pseudo.weights)
    losses = consistency.losses(config, prediction, compared)
    return jnp.mean(jnp.where(pseudo.mask, losses, 0.0))


def _share(step: Array | int, rising: float) -> Array:
    """The share of the full weight in `step`, from 0; it rises over `rising` steps."""
    if not rising:
        return jnp.ones(())
    return jnp.minimum(jnp.asarray(step, jnp.float32) / rising, 1.0)
