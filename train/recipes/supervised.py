"""Natural training: cross-entropy on the images as they are."""

from typing import Any

from ikl_jax.types import Array, PyTree
from train.recipes import recipe
from train.recipes.accumulation import Accumulation, Outcome
from train.recipes.state import TrainState, Weights


def build(task: recipe.Task) -> recipe.BuiltRecipe:
    accumulation = Accumulation.of(task)

    def step(state: TrainState, batch: Any) -> tuple[TrainState, recipe.Metrics]:
        def loss_fn(params: PyTree, part: Any) -> tuple[Array, Outcome]:
            x, labels = recipe.to_pixels(part["image"]), part["label"]
            weights = Weights(params, state.batch_stats)
            logits, batch_stats = recipe.train_logits(
                task.model, weights, x, part["key"]
            )
            loss = task.cross_entropy(logits, labels)
            accuracy = recipe.accuracy(logits, labels)
            metrics = {"loss": loss, "natural_accuracy": accuracy}
            return loss, Outcome(metrics, batch_stats)

        examples = {name: batch[name] for name in ("image", "label")}
        examples["key"] = recipe.keys_of(
            task.model, state.step_key(), len(batch["label"])
        )
        parts = accumulation.split(examples)
        grads, outcome = accumulation.gradient(loss_fn, state.params, parts)
        state = state.apply_gradients(grads=grads, batch_stats=outcome.batch_stats)
        return state, outcome.metrics

    return task.finish(step, uses_class_means=False)


SUPERVISED = recipe.Recipe("supervised", build, learns_tasks=True)
