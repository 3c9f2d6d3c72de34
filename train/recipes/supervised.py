"""Natural training: cross-entropy on the images as they are."""

from typing import Any

import jax

from ikl_jax.types import Array, PyTree
from train.recipes import recipe
from train.state import TrainState, Weights


def build(task: recipe.Task) -> recipe.Recipe:
    smoothing = task.config.loss.label_smoothing

    def step(state: TrainState, batch: Any) -> tuple[TrainState, recipe.Metrics]:
        x, labels = recipe.to_pixels(batch["image"]), batch["label"]

        def loss_fn(params: PyTree) -> tuple[Array, tuple[Array, PyTree]]:
            weights = Weights(params, state.batch_stats)
            logits, batch_stats = recipe.train_logits(task.model, weights, x)
            loss = recipe.cross_entropy(logits, labels, task.num_classes, smoothing)
            return loss, (logits, batch_stats)

        gradient = jax.value_and_grad(loss_fn, has_aux=True)
        (loss, (logits, batch_stats)), grads = gradient(state.params)
        state = state.apply_gradients(grads=grads, batch_stats=batch_stats)
        metrics = {"loss": loss, "natural_accuracy": recipe.accuracy(logits, labels)}
        return state, metrics

    return task.finish(step, uses_class_means=False)
