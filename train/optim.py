"""Optimiser and learning-rate schedule from the numbers of a config."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from ikl_jax.types import PyTree
from train.types import Config


def create(
    config: Config, *, epochs: int, steps_per_epoch: int
) -> optax.GradientTransformation:
    """SGD with momentum; weight decay is added to the gradient, as in torch."""
    decayed = None if config.decay_vectors else _matrices
    return optax.chain(
        optax.add_decayed_weights(config.weight_decay, decayed),
        optax.sgd(
            schedule(config, epochs=epochs, steps_per_epoch=steps_per_epoch),
            momentum=config.momentum,
            nesterov=config.nesterov,
        ),
    )


def schedule(config: Config, *, epochs: int, steps_per_epoch: int) -> optax.Schedule:
    """The learning rate as a function of the step (from 0)."""
    return SCHEDULES[config.schedule](config, epochs, steps_per_epoch)


def _matrices(params: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def _constant(config: Config, epochs: int, steps_per_epoch: int) -> optax.Schedule:
    return optax.constant_schedule(config.learning_rate)


def _cosine(config: Config, epochs: int, steps_per_epoch: int) -> optax.Schedule:
    steps = epochs * steps_per_epoch
    warmup = round(config.warmup * steps)
    return optax.join_schedules(
        [
            optax.linear_schedule(0.0, config.learning_rate, warmup),
            optax.cosine_decay_schedule(config.learning_rate, max(steps - warmup, 1)),
        ],
        [warmup],
    )


def _cosine_per_epoch(
    config: Config, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
    """The authors': constant throughout an epoch e = 1 ... E.

    lr e / W in the W epochs of the warm-up share, then lr / 2 (1 + cos(pi (e - W) /
    (E - W + 1))).
    """
    warmup = round(config.warmup * epochs)

    def rate(step: jax.typing.ArrayLike) -> jax.Array:
        epoch = jnp.asarray(step) // steps_per_epoch + 1
        turn = jnp.pi * (epoch - warmup) / (epochs - warmup + 1)
        share = jnp.where(
            epoch > warmup, 0.5 * (1 + jnp.cos(turn)), epoch / max(warmup, 1)
        )
        return config.learning_rate * share

    return rate


def _step(config: Config, epochs: int, steps_per_epoch: int) -> optax.Schedule:
    steps = epochs * steps_per_epoch
    boundaries = {
        round(share * steps): config.decay_factor for share in config.milestones
    }
    return optax.piecewise_constant_schedule(config.learning_rate, boundaries)


def _one_cycle(config: Config, epochs: int, steps_per_epoch: int) -> optax.Schedule:
    """Up by a cosine during the warm-up share (0.3 if that is 0), then down."""
    return optax.cosine_onecycle_schedule(
        epochs * steps_per_epoch,
        peak_value=config.learning_rate,
        pct_start=config.warmup or 0.3,
    )


def _one_cycle_per_epoch(
    config: Config, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
    """The one-cycle, constant within each epoch."""
    by_epoch = _one_cycle(config, epochs, 1)
    return lambda step: by_epoch(jnp.asarray(step) // steps_per_epoch)


SCHEDULES: dict[str, Callable[[Config, int, int], optax.Schedule]] = {
    "constant": _constant,
    "cosine": _cosine,
    "cosine_per_epoch": _cosine_per_epoch,
    "one_cycle": _one_cycle,
    "one_cycle_per_epoch": _one_cycle_per_epoch,
    "step": _step,
}
