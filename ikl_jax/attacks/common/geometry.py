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
from ikl_jax.attacks.common import largest
from ikl_jax.attacks.common.rows import spread
from ikl_jax.types import Array, Scalar

Bounds = tuple[float, float]
# Where images lie: the bounds of every attack but `pgd`, which may be given others.
BOX: Bounds = (0.0, 1.0)
# The numbers by which NumPy names the norms.
ORDERS = {np.inf: "linf", 2: "l2", 1: "l1"}


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
      climb: `(x, gradient, step_size, bounds)` to x after one step along `steepest`,
        which may leave the bounds. In l1 balls the coordinate with the largest slope
        moves up to its bound, and the rest of the step goes to the next ones.
    """

    size: Callable[[Any], Any]
    dual: Callable[[Any], Any]
    project: Callable[[Array, Scalar], Array]
    steepest: Callable[[Any], Any]
    sample: Callable[[Array, tuple[int, ...]], Array]
    climb: Callable[[Array, Array, Scalar, Bounds], Array]


def norm_named(name: str) -> Norm:
    """The norm of that name.

    Raises:
      ValueError: there is no such norm.
    """
    if not isinstance(name, str):
        known = ", ".join(sorted(map(repr, NORMS)))
        meant = next((text for p, text in ORDERS.items() if p == name), None)
        hint = f"; use {meant!r}" if meant else ""
        raise ValueError(f"norm must be one of {known}, got {name!r}{hint}")
    checks.one_of("norm", name, NORMS)
    return NORMS[name]


def into(x_adv: Array, x: Array, epsilon: Scalar, norm: Norm, bounds: Bounds) -> Array:
    """Brings `x_adv` into the ball around `x`, then into the box.

    The second projection does not leave the ball, because `x` lies in the box.
    """
    return jnp.clip(x + norm.project(x_adv - x, epsilon), *bounds)


def check_bounds(bounds: Bounds, x: Array | np.ndarray) -> None:
    """Raises `ValueError` for reversed bounds, or for a known `x` outside of them."""
    low, high = _pair(bounds)
    if not low < high:
        raise ValueError(f"bounds must be (low, high) with low < high, got {bounds}")
    if checks.is_concrete(x):
        least, most = _extremes(x)
        if not (least >= low and most <= high):
            raise ValueError(
                f"x must lie within bounds [{low}, {high}], got values from "
                f"{least:g} to {most:g}; epsilon and bounds are in the units of x"
            )


def _pair(bounds: Any) -> Bounds:
    """The bounds, if they are two numbers."""
    if len(bounds) == 2 and all(np.ndim(bound) == 0 for bound in bounds):
        return bounds
    raise ValueError(f"bounds must be two numbers, (low, high), got {bounds}")


def _extremes(x: Any) -> tuple[float, float]:
    """The least and the largest entry; NumPy arrays stay on the host for it."""
    if isinstance(x, np.ndarray):
        return float(x.min(initial=np.inf)), float(x.max(initial=-np.inf))
    return checks.least_and_most(x)


def _coordinates(x: Any) -> tuple[int, ...]:
    return tuple(range(1, x.ndim))


def _module(array: Any) -> Any:
    return np if isinstance(array, np.ndarray) else jnp


def _wide(array: Any) -> Any:
    """In float32, if it has fewer digits, in which sums of pixels overflow."""
    if isinstance(array, np.ndarray):
        return array
    return array.astype(jnp.promote_types(array.dtype, jnp.float32))


def _linf_size(delta: Any) -> Any:
    xp = _module(delta)
    return xp.max(xp.abs(delta), axis=_coordinates(delta), initial=0.0)


def _l2_size(delta: Any) -> Any:
    xp = _module(delta)
    return xp.sqrt(xp.sum(xp.square(_wide(delta)), axis=_coordinates(delta)))


def _l1_size(delta: Any) -> Any:
    xp = _module(delta)
    return xp.sum(xp.abs(_wide(delta)), axis=_coordinates(delta))


def _linf_project(delta: Array, epsilon: Scalar) -> Array:
    return jnp.clip(delta, -epsilon, epsilon)


def _linf_sample(key: Array, shape: tuple[int, ...]) -> Array:
    return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)


def _linf_climb(x: Array, gradient: Array, step_size: Scalar, _: Bounds) -> Array:
    return x + step_size * jnp.sign(gradient)


def _l2_project(delta: Array, epsilon: Scalar) -> Array:
    size = _l2_size(delta)
    outside = size > epsilon
    factor = jnp.where(outside, epsilon / jnp.where(outside, size, 1.0), 1.0)
    return delta * spread(factor, delta).astype(delta.dtype)


def _l2_steepest(gradient: Any) -> Any:
    return unit(_in_range(gradient))


def unit(delta: Any) -> Any:
    """Scaled to l2 norm 1, or zero where it is zero: `[B, ...]`."""
    # Divided by its largest entry first, so that squares of tiny entries do not
    # underflow and one that is exactly zero stays zero.
    xp = _module(delta)
    greatest = _linf_size(delta)
    inverse = 1.0 / xp.where(greatest > 0, greatest, xp.ones_like(greatest))
    delta = delta * spread(inverse, delta)
    size = _l2_size(delta)
    inverse = 1.0 / xp.where(size > 0, size, xp.ones_like(size))
    return delta * spread(inverse, delta).astype(delta.dtype)


def _in_range(gradient: Any) -> Any:
    """A multiple of the gradient, whose largest entry has an inverse.

    The inverse of a denormal number is infinite, and that of the largest numbers is
    denormal, which some hardware takes for zero. Beside infinite entries, finite ones
    do not count. All other gradients are returned as they are.
    """
    xp, info = _module(gradient), jnp.finfo(gradient.dtype)
    infinite = xp.isinf(gradient)
    beside = xp.any(infinite, axis=_coordinates(gradient))
    signs = xp.where(infinite, xp.sign(gradient), xp.zeros_like(gradient))
    gradient = xp.where(spread(beside, gradient), signs, gradient)
    greatest = _linf_size(gradient)
    # A power of two, so that no entry is rounded.
    power = xp.asarray(2.0 ** (-info.minexp // 2), gradient.dtype)
    factor = xp.where(greatest > power, 1 / power, xp.ones_like(greatest))
    factor = xp.where(greatest < 1 / power, power, factor)
    return gradient * spread(factor, gradient)


def _l2_sample(key: Array, shape: tuple[int, ...]) -> Array:
    direction_key, radius_key = jax.random.split(key)
    direction = unit(jax.random.normal(direction_key, (1, *shape)))[0]
    return direction * jax.random.uniform(radius_key) ** (1.0 / max(direction.size, 1))


def _l2_climb(x: Array, gradient: Array, step_size: Scalar, _: Bounds) -> Array:
    return x + step_size * _l2_steepest(gradient)


def _l1_project(delta: Array, epsilon: Scalar) -> Array:
    """Shrinks all coordinates by the same amount, none beyond zero.

    Reference: Duchi et al., "Efficient projections onto the l1-ball for learning in
    high dimensions", 2008.
    """
    flat = jnp.abs(_wide(delta)).reshape(len(delta), -1)
    ordered = -jnp.sort(-flat, axis=-1)
    count = jnp.arange(1, flat.shape[-1] + 1, dtype=flat.dtype)
    shrinkage = (jnp.cumsum(ordered, axis=-1) - epsilon) / count[None]
    kept = jnp.sum(ordered > shrinkage, axis=-1, keepdims=True)
    amount = jnp.take_along_axis(shrinkage, jnp.maximum(kept - 1, 0), axis=-1)
    shrunk = jnp.sign(delta) * jnp.maximum(flat - amount, 0.0).reshape(delta.shape)
    outside = jnp.sum(flat, axis=-1) > epsilon
    return jnp.where(spread(outside, delta), shrunk.astype(delta.dtype), delta)


def _l1_steepest(gradient: Array) -> Array:
    """All along the first of the coordinates with the largest slope."""
    flat = gradient.reshape(len(gradient), -1)
    first = jnp.argmax(jnp.abs(flat), axis=-1)
    chosen = jax.nn.one_hot(first, flat.shape[-1], dtype=flat.dtype)
    return (chosen * jnp.sign(flat)).reshape(gradient.shape)


def _l1_sample(key: Array, shape: tuple[int, ...]) -> Array:
    direction_key, radius_key = jax.random.split(key)
    # One exponential more than there are coordinates makes the sum's share uniform.
    direction = jax.random.laplace(direction_key, shape)
    rest = jax.random.exponential(radius_key)
    return direction / (jnp.sum(jnp.abs(direction)) + rest)


def _l1_climb(x: Array, gradient: Array, step_size: Scalar, bounds: Bounds) -> Array:
    """Moves the coordinates of the largest slopes, each as far as its bound."""
    direction = jnp.sign(gradient)
    room = jnp.where(direction > 0, bounds[1] - x, x - bounds[0])
    room = jnp.where(direction == 0, 0.0, jnp.maximum(room, 0.0))
    rows = lambda array: array.reshape(len(x), -1)
    moved = largest.spend(rows(jnp.abs(gradient)), rows(room), step_size)
    return x + direction * moved.reshape(x.shape)


NORMS = {
    "linf": Norm(
        _linf_size, _l1_size, _linf_project, jnp.sign, _linf_sample, _linf_climb
    ),
    "l2": Norm(_l2_size, _l2_size, _l2_project, _l2_steepest, _l2_sample, _l2_climb),
    "l1": Norm(_l1_size, _linf_size, _l1_project, _l1_steepest, _l1_sample, _l1_climb),
}
