"""Norms, their balls, and the box of valid inputs.

Everything here is per example: the leading axis of `[B, ...]` is the batch, the
other axes are one example's coordinates.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax import checks
from ikl_jax.attacks.common.rows import spread
from ikl_jax.types import Array, Scalar

Bounds = tuple[float, float]
# Where images lie: the bounds of every attack but `pgd`, which may be given others.
BOX: Bounds = (0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Norm:
    """A norm, as functions that attacks need.

    Attributes:
      size: `[B, ...]` to `[B]`, the norm. It computes NumPy arrays in NumPy, with their
        own precision.
      dual: `[B, ...]` to `[B]`, the dual norm: how much a linear function with that
        gradient rises in a step of size 1.
      project: `(delta [B, ...], epsilon)`, the nearest point of the epsilon-ball.
      steepest: `[B, ...]`, the direction of norm 1 along which a linear function with
        that gradient grows fastest; zero where the gradient is zero.
      sample: `(key, shape)`, one example's uniform sample of the unit ball.
    """

    size: Callable[[Any], Any]
    dual: Callable[[Any], Any]
    project: Callable[[Array, Scalar], Array]
    steepest: Callable[[Array], Array]
    sample: Callable[[Array, tuple[int, ...]], Array]


def norm_named(name: str) -> Norm:
    """The norm of that name.

    Raises:
      ValueError: there is no such norm.
    """
    checks.one_of("norm", name, NORMS)
    return NORMS[name]


def into(x_adv: Array, x: Array, epsilon: Scalar, norm: Norm, bounds: Bounds) -> Array:
    """Brings `x_adv` into the ball around `x`, then into the box.

    The second projection does not leave the ball, because `x` lies in the box.
    """
    return jnp.clip(x + norm.project(x_adv - x, epsilon), *bounds)


def check_bounds(bounds: Bounds, x: Array | np.ndarray) -> None:
    """Raises `ValueError` for reversed bounds, or for a known `x` outside of them."""
    low, high = bounds
    if not low < high:
        raise ValueError(f"bounds must be (low, high) with low < high, got {bounds}")
    if checks.is_concrete(x):
        least, most = _extremes(x)
        if not (least >= low and most <= high):
            raise ValueError(
                f"x must lie within bounds [{low}, {high}], got values from "
                f"{least:g} to {most:g}; epsilon and bounds are in the units of x"
            )


def _extremes(x: Any) -> tuple[float, float]:
    """The least and the largest entry; NumPy arrays stay on the host for it."""
    if isinstance(x, np.ndarray):
        return float(x.min(initial=np.inf)), float(x.max(initial=-np.inf))
    return checks.least_and_most(x)


def _coordinates(x: Any) -> tuple[int, ...]:
    return tuple(range(1, x.ndim))


def _module(array: Any) -> Any:
    return np if isinstance(array, np.ndarray) else jnp


def _linf_size(delta: Any) -> Any:
    xp = _module(delta)
    return xp.max(xp.abs(delta), axis=_coordinates(delta), initial=0.0)


def _l2_size(delta: Any) -> Any:
    xp = _module(delta)
    return xp.sqrt(xp.sum(xp.square(delta), axis=_coordinates(delta)))


def _l1_size(delta: Any) -> Any:
    xp = _module(delta)
    return xp.sum(xp.abs(delta), axis=_coordinates(delta))


def _linf_project(delta: Array, epsilon: Scalar) -> Array:
    return jnp.clip(delta, -epsilon, epsilon)


def _linf_sample(key: Array, shape: tuple[int, ...]) -> Array:
    return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)


def _l2_project(delta: Array, epsilon: Scalar) -> Array:
    size = _l2_size(delta)
    outside = size > epsilon
    factor = jnp.where(outside, epsilon / jnp.where(outside, size, 1.0), 1.0)
    return delta * spread(factor, delta)


def _l2_steepest(gradient: Array) -> Array:
    # Divided by its largest entry first, so that squares of tiny gradients do not
    # underflow and one that is exactly zero stays zero.
    largest = _linf_size(gradient)
    gradient = gradient * spread(1.0 / jnp.where(largest > 0, largest, 1.0), gradient)
    size = _l2_size(gradient)
    return gradient * spread(1.0 / jnp.where(size > 0, size, 1.0), gradient)


def _l2_sample(key: Array, shape: tuple[int, ...]) -> Array:
    direction_key, radius_key = jax.random.split(key)
    direction = _l2_steepest(jax.random.normal(direction_key, (1, *shape)))[0]
    return direction * jax.random.uniform(radius_key) ** (1.0 / max(direction.size, 1))


def _l1_project(delta: Array, epsilon: Scalar) -> Array:
    """Shrinks all coordinates by the same amount, none beyond zero.

    Reference: Duchi et al., "Efficient projections onto the l1-ball for learning in
    high dimensions", 2008.
    """
    flat = jnp.abs(delta).reshape(len(delta), -1)
    ordered = -jnp.sort(-flat, axis=-1)
    count = jnp.arange(1, flat.shape[-1] + 1, dtype=flat.dtype)
    shrinkage = (jnp.cumsum(ordered, axis=-1) - epsilon) / count[None]
    kept = jnp.sum(ordered > shrinkage, axis=-1, keepdims=True)
    amount = jnp.take_along_axis(shrinkage, jnp.maximum(kept - 1, 0), axis=-1)
    shrunk = jnp.sign(delta) * jnp.maximum(flat - amount, 0.0).reshape(delta.shape)
    outside = jnp.sum(flat, axis=-1) > epsilon
    return jnp.where(spread(outside, delta), shrunk, delta)


def _l1_steepest(gradient: Array) -> Array:
    """All along the first of the coordinates with the largest slope."""
    flat = gradient.reshape(len(gradient), -1)
    largest = jnp.argmax(jnp.abs(flat), axis=-1)
    chosen = jax.nn.one_hot(largest, flat.shape[-1], dtype=flat.dtype)
    return (chosen * jnp.sign(flat)).reshape(gradient.shape)


def _l1_sample(key: Array, shape: tuple[int, ...]) -> Array:
    direction_key, radius_key = jax.random.split(key)
    # One exponential more than there are coordinates makes the sum's share uniform.
    direction = jax.random.laplace(direction_key, shape)
    rest = jax.random.exponential(radius_key)
    return direction / (jnp.sum(jnp.abs(direction)) + rest)


NORMS = {
    "linf": Norm(_linf_size, _l1_size, _linf_project, jnp.sign, _linf_sample),
    "l2": Norm(_l2_size, _l2_size, _l2_project, _l2_steepest, _l2_sample),
    "l1": Norm(_l1_size, _linf_size, _l1_project, _l1_steepest, _l1_sample),
}
