"""Learning rates, and momentum, as functions of the step (from 0)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from train.base.config import OptimizerConfig


def create(
    optimizer: OptimizerConfig, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
    """The learning rate as a function of the step."""
    return SCHEDULES[optimizer.schedule](optimizer, epochs, steps_per_epoch)


def momentum(
    optimizer: OptimizerConfig, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
    """The momentum of `optimizer.cycle_momentum` as a function of the step."""
    return _cycle(optimizer, epochs, steps_per_epoch, MOMENTA)


def _constant(
    optimizer: OptimizerConfig, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
    return optax.constant_schedule(optimizer.learning_rate)


def _cosine(
    optimizer: OptimizerConfig, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
    steps = epochs * steps_per_epoch
    warmup = round(optimizer.warmup * steps)
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=optimizer.learning_rate,
        warmup_steps=warmup,
        decay_steps=max(steps, warmup + 1),
    )


def _cosine_7_16(
    optimizer: OptimizerConfig, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
    """FixMatch's: lr cos(7 pi / 16 k / K), so that 0.195 of the rate are left at K.

    With a warm-up, k and K are counted from its end, as USB does.
    """
    steps = epochs * steps_per_epoch
    warmup = round(optimizer.warmup * steps)

    def rate(step: jax.typing.ArrayLike) -> jax.Array:
        step = jnp.asarray(step)
        turn = 7 * jnp.pi / 16 * (step - warmup) / max(steps - warmup, 1)
        share = jnp.where(step < warmup, step / max(warmup, 1), jnp.cos(turn))
        return optimizer.learning_rate * share

    return rate


def _cosine_per_epoch(
    optimizer: OptimizerConfig, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
    """The authors' schedule, constant within each epoch e = 1 ... E.

    It is lr e / W in the W epochs of the warm-up share, then lr / 2 (1 + cos(pi (e - W)
    / (E - W + 1))).
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
    """torch's: from a 25th of the rate up to it, then to a 10,000th of that 25th."""
    rate = optimizer.learning_rate
    return _cycle(optimizer, epochs, steps_per_epoch, (rate / 25, rate, rate / 25e4))


def _cycle(
    optimizer: OptimizerConfig,
    epochs: int,
    steps_per_epoch: int,
    values: tuple[float, ...],
) -> optax.Schedule:
    """From the first value to the second, then to the third, by half a cosine each.

    As torch's OneCycleLR: the second value is at the last step of the warm-up share
    (0.3 if that is 0), the third at the last step of all. Optax's
    `cosine_onecycle_schedule` reaches each of them a step later.
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
# torch's momentum with `cycle_momentum`: at the start, at the rate's peak, at the end.
MOMENTA = (0.95, 0.85, 0.95)
SCHEDULES: dict[str, Callable[[OptimizerConfig, int, int], optax.Schedule]] = {
    "constant": _constant,
    "cosine": _cosine,
    "cosine_7_16": _cosine_7_16,
    "cosine_per_epoch": _cosine_per_epoch,
    "cosine_from_peak_per_epoch": _cosine_from_peak_per_epoch,
    "one_cycle": _one_cycle,
    "one_cycle_per_epoch": _one_cycle,
    "step": _step,
}
