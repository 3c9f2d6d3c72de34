"""How far an epoch moves the class means, for the log of a run."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ikl_jax import ClassMeans
from ikl_jax.types import Array
from train.devices import sharding
from train.experiment.run import Run
from train.recipes.state import TrainState

NAME = "class_mean_drift"  # in the log


def of_run(run: Run) -> Callable[[TrainState], dict[str, float]]:
    """A function that measures the drift of an epoch, before `end_epoch` is applied.

    It maps the state after the epoch's last step to `{NAME: drift}`, and to nothing
    where a recipe keeps no class means.
    """
    if run.abstract_state.class_means is None:
        return lambda state: {}
    momentum = run.config.loss.class_means_momentum
    compiled = jax.jit(
        lambda means: between(means, means.advance(momentum)),
        out_shardings=sharding.replicated(run.mesh),
    )
    return lambda state: {NAME: float(compiled(state.class_means))}


def between(before: ClassMeans, after: ClassMeans) -> Array:
    """The mean total variation between the rows of two class means, in [0, 1].

    Args:
      before: with the counts of an epoch. A class without examples in it is left out.
      after: what `advance` makes of it.

    >>> before = ClassMeans.create(2).accumulate(jnp.zeros((1, 2)), jnp.array([0]))
    >>> after = before.replace(mean=jnp.array([[0.75, 0.25], [0.5, 0.5]]))
    >>> float(between(before, after))
    0.25
    """
    moved = 0.5 * jnp.abs(after.mean - before.mean).sum(axis=-1)
    seen = before.count > 0
    return jnp.sum(jnp.where(seen, moved, 0.0)) / jnp.maximum(jnp.sum(seen), 1)
