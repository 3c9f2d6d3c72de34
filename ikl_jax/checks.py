"""Checks of arguments. Each error names the argument, its value and what is allowed.

Shapes and dtypes are known while JAX traces a function, so they are always checked.
Values are known only outside of `jit`, `grad` and `vmap`. Inside of these, checks of
values are skipped.
"""

import difflib
from collections.abc import Iterable

import chex
import jax
import jax.core
import jax.numpy as jnp

from ikl_jax.types import Array, Scalar


def is_concrete(value: object) -> bool:
    """Whether `value` can be read now: it is not traced, and all of it is local."""
    if isinstance(value, jax.core.Tracer):
        return False
    return not isinstance(value, jax.Array) or value.is_fully_addressable


def least_and_most(value: Scalar) -> tuple[float, float]:
    """The smallest and the largest entry of a concrete `value`, also while tracing.

    For an empty array, inf and -inf: no entry is too small or too large.
    """
    with jax.ensure_compile_time_eval():
        array = jnp.asarray(value)
        if not array.size:
            return float("inf"), float("-inf")
        return float(array.min()), float(array.max())


def same_shape(**arrays: Array) -> None:
    """Raises `ValueError` unless all the named arrays have one shape."""
    try:
        chex.assert_equal_shape(list(arrays.values()))
    except AssertionError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"shapes must be equal, got {shapes}") from None


def shaped(shape: tuple[int, ...], **arrays: Array) -> None:
    """Raises `ValueError` unless every named array has the given shape."""
    for name, array in arrays.items():
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")


def rank_at_least(rank: int, **arrays: Array) -> None:
    """Raises `ValueError` unless every named array has `rank` dimensions or more."""
    for name, array in arrays.items():
        if array.ndim < rank:
            raise ValueError(
                f"{name} must have {rank} or more dimensions, got shape {array.shape}"
            )


def floating(**arrays: Array) -> None:
    """Raises `TypeError` unless every named array has a floating-point dtype."""
    for name, array in arrays.items():
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise TypeError(f"{name} must be floating point, got {array.dtype}")


def positive(**values: Scalar) -> None:
    """Raises `ValueError` where a named, known value is not above zero."""
    for name, value in values.items():
        if is_concrete(value) and not (least := least_and_most(value)[0]) > 0:
            raise ValueError(f"{name} must be > 0, got {least:g}")


def non_negative(**values: Scalar) -> None:
    """Raises `ValueError` where a named, known value is negative or NaN."""
    for name, value in values.items():
        if is_concrete(value) and not (least := least_and_most(value)[0]) >= 0:
            raise ValueError(f"{name} must be >= 0, got {least:g}")


def within(low: float, high: float, **values: Scalar) -> None:
    """Raises `ValueError` where a named, known value is outside `[low, high]`."""
    for name, value in values.items():
        if is_concrete(value):
            least, most = least_and_most(value)
            if not (least >= low and most <= high):
                got = f"{least:g}" if least < low else f"{most:g}"
                raise ValueError(f"{name} must lie in [{low:g}, {high:g}], got {got}")


def labels_in_range(labels: Array, num_classes: int) -> None:
    """Raises if labels are no integers, or a known one is not in `[0, num_classes)`."""
    classes_in_range(num_classes, labels=labels)


def classes_in_range(num_classes: int, **classes: Array) -> None:
    """`labels_in_range` for arrays of any names."""
    for name, array in classes.items():
        if not jnp.issubdtype(array.dtype, jnp.integer):
            raise TypeError(f"{name} must be integers, got {array.dtype}")
        if is_concrete(array):
            least, most = least_and_most(array)
            if least < 0 or most >= num_classes:
                raise ValueError(
                    f"{name} must lie in [0, {num_classes}), "
                    f"got values from {least:g} to {most:g}"
                )


def one_of(name: str, value: str, allowed: Iterable[str]) -> None:
    """Raises `ValueError`, which suggests similar names, unless `value` is allowed."""
    allowed = sorted(allowed)
    if not isinstance(value, str):
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    if value in allowed:
        return
    nearest = difflib.get_close_matches(value, allowed, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, nearest))}? " if nearest else ""
    raise ValueError(f"unknown {name} {value!r}; {hint}known: {', '.join(allowed)}")
