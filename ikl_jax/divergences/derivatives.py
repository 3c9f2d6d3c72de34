"""Functions that come with their own derivatives, in which zero times anything is zero.

An example may hold what has no loss: NaN, or logits that are all minus infinity. If the
caller leaves it out, the cotangent of its loss is zero, and so must its gradient be.
JAX's own rules multiply the cotangent by a derivative that is NaN, which gives NaN.
"""

import functools
import numbers
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from ikl_jax.types import Array, Scalar

# Numbers between them have squares that float32 neither rounds to zero nor overflows.
SMALL, LARGE = 1e-18, 1e18

# For each argument, a function that computes the derivative with respect to it; None
# for an argument that is stopped.
Derivatives = Sequence[Callable[[], Array] | None]


def differentiable(
    value_and_derivatives: Callable[..., tuple[Array, Derivatives]],
) -> Callable[..., Array]:
    """Makes a function of its value, `[...]`, and of its derivatives.

    A derivative is `[..., C]` for an argument of that shape, `[...]` for one of that
    shape. It is computed only if it is used. Forward and reverse mode of any order
    work. Where the value is NaN, a derivative is NaN times the tangent or cotangent,
    and zero if that is zero.
    """

    @jax.custom_jvp
    @functools.wraps(value_and_derivatives)
    def function(*arguments: Array) -> Array:
        return value_and_derivatives(*arguments)[0]

    @functools.partial(function.defjvp, symbolic_zeros=True)
    def _(
        arguments: Sequence[Array], tangents: Sequence[Array | SymbolicZero]
    ) -> tuple[Array, Array]:
        value, derivatives = value_and_derivatives(*arguments)
        change = jnp.zeros_like(value)
        for derivative, tangent in zip(derivatives, tangents, strict=True):
            if derivative is not None and not isinstance(tangent, SymbolicZero):
                change = change + _product(derivative(), tangent, jnp.isnan(value))
        return value, change

    return function


def scaled(coefficient: Array, loss: Array, given: Scalar) -> Array:
    """`coefficient * loss`, both `[...]`; zero times an infinite loss is zero.

    Args:
      coefficient: may be zero, infinite or NaN, unless that is known to be otherwise.
      loss: what it multiplies.
      given: the number that the caller passed, which is the coefficient or its root.
        If it is known to be of an ordinary size, the coefficient is neither zero nor
        infinite, and an ordinary product will do, which is cheaper.
    """
    if isinstance(given, numbers.Real) and SMALL < abs(given) < LARGE:
        return coefficient * loss
    return _scaled(coefficient, loss)


@differentiable
def _scaled(coefficient: Array, loss: Array) -> tuple[Array, Derivatives]:
    left_out = (coefficient == 0) & jnp.isinf(loss)
    product = coefficient * jnp.where(left_out, 0.0, loss)
    return product, (lambda: loss, lambda: coefficient)


def _product(derivative: Array, tangent: Array, is_nan: Array) -> Array:
    """The inner product over the classes, if there are any, linear in `tangent`."""
    if tangent.ndim == is_nan.ndim:
        is_nan = is_nan | ~jnp.isfinite(derivative)
        return _nan_unless_zero(jnp.where(is_nan, 1.0, derivative) * tangent, is_nan)
    derivative = jnp.where(is_nan[..., None], 1.0, derivative)
    return _nan_unless_zero(jnp.sum(derivative * tangent, axis=-1), is_nan)


def _nan_unless_zero(x: Array, is_nan: Array) -> Array:
    """`x`, but NaN where `is_nan` holds and `x` is not zero.

    It is linear in `x`, and its transpose, the same factors in reverse, does the same
    to a cotangent. The largest number twice makes infinity of all but zero, and
    infinity times zero is NaN. The factors are arrays because the compiler would
    multiply constants by each other.
    """
    largest = jnp.where(is_nan, jnp.finfo(x.dtype).max, 1.0).astype(x.dtype)
    zero = jnp.where(is_nan, 0.0, 1.0).astype(x.dtype)
    return x * largest * largest * zero * largest * largest
