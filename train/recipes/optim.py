"""Optimiser and learning-rate schedule from the numbers of a optimizer."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from ikl_jax.types import PyTree
from train.base import fields
from train.base.config import OptimizerConfig
from train.base.errors import UserError


def create(
    optimizer: OptimizerConfig, *, epochs: int, steps_per_epoch: int
) -> optax.GradientTransformation:
    """SGD with momentum; weight decay is added to the gradient, as in torch."""
    decayed = None if optimizer.decay_vectors else _matrices
    return optax.chain(
        optax.add_decayed_weights(optimizer.weight_decay, decayed),
        _momentum(optimizer, epochs, steps_per_epoch),
        optax.scale_by_learning_rate(
            schedule(optimizer, epochs=epochs, steps_per_epoch=steps_per_epoch)
        ),
    )


def check(optimizer: OptimizerConfig) -> None:
    """Raises `UserError` for values that no run can use."""
    fields.one_of("optimizer", optimizer, schedule=SCHEDULES)
    fields.non_negative(
        "optimizer", optimizer, "learning_rate", "momentum", "weight_decay"
    )
    fields.shares("optimizer", optimizer, "warmup")
    if not all(0 < share < 1 for share in optimizer.milestones):
        raise UserError(
            "optimizer.milestones must be shares of the epochs within (0, 1), "
            f"got {optimizer.milestones}"
        )
    if optimizer.cycle_momentum and optimizer.schedule not in ONE_CYCLES:
        raise UserError(
            "optimizer.cycle_momentum is for the schedules "
            f"{' and '.join(ONE_CYCLES)}, got {optimizer.schedule}"
        )


def schedule(
    optimizer: OptimizerConfig, *, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
    """The learning rate as a function of the step (from 0)."""
    return SCHEDULES[optimizer.schedule](optimizer, epochs, steps_per_epoch)


def _momentum(
    optimizer: OptimizerConfig, epochs: int, steps_per_epoch: int
) -> optax.GradientTransformation:
    if not optimizer.cycle_momentum:
        return optax.trace(optimizer.momentum, optimizer.nesterov)
    trace = optax.inject_hyperparams(optax.trace, static_args="nesterov")
    decay = _cycle(optimizer, epochs, steps_per_epoch, MOMENTA)
    return trace(decay=decay, nesterov=optimizer.nesterov)


def _matrices(params: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def _constant(
    optimizer: OptimizerConfig, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
    return optax.constant_schedule(optimizer.learning_rate)


def _cosine(
    optimizer: OptimizerConfig, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
    steps = epochs * steps_per_epoch
    warmup = round(optimizer.warmup * steps)
    return optax.join_schedules(
        [
            optax.linear_schedule(0.0, optimizer.learning_rate, warmup),
            optax.cosine_decay_schedule(
                optimizer.learning_rate, max(steps - warmup, 1)
            ),
        ],
        [warmup],
    )


def _cosine_per_epoch(
    optimizer: OptimizerConfig, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
    """The authors': constant throughout an epoch e = 1 ... E.

    lr e / W in the W epochs of the warm-up share, then lr / 2 (1 + cos(pi (e - W) /
    (E - W + 1))).
    """
    warmup = round(optimizer.warmup * epochs)

    def rate(step: jax.typing.ArrayLike) -> jax.Array:
        epoch = jnp.asarray(step) // steps_per_epoch + 1
        turn = jnp.pi * (epoch - warmup) / (epochs - warmup + 1)
        share = jnp.where(
            epoch > warmup, 0.5 * (1 + jnp.cos(turn)), epoch / max(warmup, 1)
        )
        return optimizer.learning_rate * share

    return rate


def _cosine_from_peak_per_epoch(
    optimizer: OptimizerConfig, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
    """The authors' for TRADES: lr / 2 (1 + cos(pi (e - 1) / E)), e = 1 ... E."""
    by_epoch = _cosine(optimizer, epochs, 1)
    return lambda step: by_epoch(jnp.asarray(step) // steps_per_epoch)


def _step(
    optimizer: OptimizerConfig, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
    steps = epochs * steps_per_epoch
    boundaries = {
        round(share * steps): optimizer.decay_factor for share in optimizer.milestones
    }
    return optax.piecewise_constant_schedule(optimizer.learning_rate, boundaries)


def _one_cycle(
    optimizer: OptimizerConfig, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
    """torch's: from a 25th to the rate, then down to a 10,000th of that 25th."""
    rate = optimizer.learning_rate
    return _cycle(optimizer, epochs, steps_per_epoch, (rate / 25, rate, rate / 25e4))


def _cycle(
    optimizer: OptimizerConfig,
    epochs: int,
    steps_per_epoch: int,
    values: tuple[float, ...],
) -> optax.Schedule:
    """From the first value to the second and to the third, by half a cosine each.

    As torch's OneCycleLR: the peak is at the last step of the warm-up share (0.3 if
    that is 0), the third value at the last of all.
    """
    first, peak, last = values
    held = steps_per_epoch if optimizer.schedule == "one_cycle_per_epoch" else 1
    end = epochs * steps_per_epoch // held - 1
    top = (optimizer.warmup or 0.3) * (end + 1) - 1

    def value(step: jax.typing.ArrayLike) -> jax.Array:
        step = jnp.asarray(step) // held
        up = _half_cosine(first, peak, step / max(top, 1e-9))
        down = _half_cosine(peak, last, (step - top) / max(end - top, 1e-9))
        return jnp.where(step <= top, up, down)

    return value


def _half_cosine(start: float, end: float, share: jax.Array) -> jax.Array:
    return end + (start - end) / 2 * (1 + jnp.cos(jnp.pi * share))


ONE_CYCLES = ("one_cycle", "one_cycle_per_epoch")
# Momentum with `cycle_momentum`, torch's: at first, at the peak of the rate, at last.
MOMENTA = (0.95, 0.85, 0.95)
SCHEDULES: dict[str, Callable[[OptimizerConfig, int, int], optax.Schedule]] = {
    "constant": _constant,
    "cosine": _cosine,
    "cosine_per_epoch": _cosine_per_epoch,
    "cosine_from_peak_per_epoch": _cosine_from_peak_per_epoch,
    "one_cycle": _one_cycle,
    "one_cycle_per_epoch": _one_cycle,
    "step": _step,
}
