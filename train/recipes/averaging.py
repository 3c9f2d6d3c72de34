"""Exponential moving averages of the weights and of BatchNorm's statistics."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ikl_jax.types import Array
from train.base import fields
from train.base.config import AveragingConfig
from train.recipes.state import TrainState

Update = Callable[[TrainState], TrainState]


def check(averaging: AveragingConfig) -> None:
    """Raises `UserError` for values that no run can use."""
    fields.one_of(
        "averaging", averaging, every=("none", "step", "epoch"),
        batch_norm=("averaged", "copied"),
    )  # fmt: skip
    fields.non_negative("averaging", averaging, "start_epoch")
    fields.shares("averaging", averaging, "decay")


def create(averaging: AveragingConfig, steps_per_epoch: int) -> tuple[Update, Update]:
    """The updates after a step and after an epoch, of which one or both do nothing.

    Until `start_epoch`, and at the first update, the average is a copy of the weights.
    `optax.incremental_update` has the same formula, but compiled it rounds differently.
    """

    def update(state: TrainState, finished: Array, start: int) -> TrainState:
        updates = finished - start - 1  # the number of earlier updates
        decay = jnp.asarray(averaging.decay, jnp.float32)
        if averaging.warmup:
            decay = jnp.minimum(decay, (1 + updates) / (10 + updates))
        decay = jnp.where(updates > 0, decay, 0.0)
        averaged = jax.tree.map(
            lambda average, new: decay * average + (1 - decay) * new,
            state.averaged,
            state.weights,
        )
        if averaging.batch_norm == "copied":
            averaged = averaged.replace(batch_stats=state.batch_stats)
        return state.replace(averaged=averaged)

    def after_step(state: TrainState) -> TrainState:
        return update(
            state, jnp.asarray(state.step), averaging.start_epoch * steps_per_epoch
        )

    def after_epoch(state: TrainState) -> TrainState:
        finished = jnp.asarray(state.step) // steps_per_epoch
        return update(state, finished, averaging.start_epoch)

    def nothing(state: TrainState) -> TrainState:
        return state

    return {
        "none": (nothing, nothing),
        "step": (after_step, nothing),
        "epoch": (nothing, after_epoch),
    }[averaging.every]
