"""Natural training: cross-entropy on the images as they are."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from ikl_jax.types import Array, PyTree
from train.recipes import recipe
from train.state import TrainState, Weights


def build(task: recipe.Task) -> recipe.Recipe:
    def step(state: TrainState, batch: Any) -> tuple[TrainState, recipe.Metrics]:
        x, labels = recipe.to_pixels(batch["image"]), batch["label"]

        def loss_fn(params: PyTree) -> tuple[Array, tuple[Array, PyTree]]:
            weights = Weights(params, state.batch_stats)
            logits, batch_stats = recipe.train_logits(task.model, weights, x)
            losses = optax.losses.softmax_cross_entropy_with_integer_labels(
                logits, labels
            )
            return jnp.mean(losses), (logits, batch_stats)

        gradient = jax.value_and_grad(loss_fn, has_aux=True)
        (loss, (logits, batch_stats)), grads = gradient(state.params)
        state = state.apply_gradients(grads=grads, batch_stats=batch_stats)
        metrics = {"loss": loss, "natural_accuracy": recipe.accuracy(logits, labels)}
        return state, metrics

    return task.finish(step, uses_class_means=False)
