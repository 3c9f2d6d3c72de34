"""The recipe's step, compiled."""

from typing import Any

import jax

from train.data import pipeline
from train.devices import sharding
from train.experiment.run import Run
from train.recipes.recipe import Metrics, Step
from train.recipes.state import TrainState


def jitted_step(run: Run) -> Any:
    """The step as JAX compiles it: the new state takes the place of the old one.

    What a batch withholds is kept from the recipe's step, and serves to judge it.
    """

    def step(state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
        seen, withheld = pipeline.separated(batch)
        state, metrics = run.recipe.step(state, seen)
        return state, run.recipe.judge(metrics, withheld)

    return jax.jit(
        step,
        out_shardings=(run.state_shardings, sharding.replicated(run.mesh)),
        donate_argnums=0,
    )


def compiled_step(run: Run) -> Step:
    """The step, compiled once for all batches whose columns have the same shapes.

    All that it reads must be on the devices already: a copy from the host is an error.
    """
    jitted = jitted_step(run)
    programs: dict[Any, Step] = {}

    def step(state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
        shapes = tuple((name, batch[name].shape) for name in sorted(batch))
        if shapes not in programs:
            programs[shapes] = jitted.lower(state, batch).compile()
        with jax.transfer_guard("disallow"):
            return programs[shapes](state, batch)

    return step
