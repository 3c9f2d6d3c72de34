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
import numpy as np
from jax.typing import ArrayLike

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
    if not np.size(value):
        return float("inf"), float("-inf")
    if isinstance(value, jax.Array):
        with jax.ensure_compile_time_eval():
            ends = jax.device_get((value.min(), value.max()))
    else:
        ends = np.min(value), np.max(value)
    return float(ends[0]), float(ends[1])


def as_array(**values: ArrayLike | list) -> Array:
    """The one named value as a JAX array, or `TypeError`."""
    ((name, value),) = values.items()
    try:
        return jnp.asarray(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} must be an array or a list of numbers, all rows of one length, "
            f"got {type(value).__name__}"
        ) from None


def per_example(
    batch: tuple[int, ...], dtype: jnp.dtype, name: str, value: Scalar
) -> Array:
    """A scalar or one value an example, as an array of the shape `batch`."""
    array = as_array(**{name: value})
    if array.dtype == jnp.bool_ or jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise TypeError(f"{name} must be a real number, got {array.dtype}")
    if array.shape not in ((), batch):
        raise ValueError(
            f"{name} must be a scalar or have shape {batch}, one value an example, "
            f"got {array.shape}"
        )
    return jnp.broadcast_to(array.astype(dtype), batch)


def no_row_of_classes(shape: tuple[int, ...], name: str, value: Scalar) -> None:
    """Raises `ValueError` for a value for each example that may be one for each class.

    Args:
      shape: of the logits, `[..., C]`.
      name: of the value.
      value: what `per_example` accepts for these logits.
    """
    given = np.shape(value)
    if given and given == shape[:-1] == shape[-len(given) :]:
        raise ValueError(
            f"{name} of shape {given} may be one value an example or one a class of "
            f"logits {shape}; give both one leading dimension more to say that it is "
            "one an example"
        )


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


def none_negative(**values: Array) -> None:
    """`non_negative` without NaN, which an example that is left out may hold."""
    for name, value in values.items():
        if is_concrete(value) and (least := least_and_most(value)[0]) < 0:
            raise ValueError(f"{name} must be >= 0, got {least:g}")


def within(low: float, high: float, **values: Scalar) -> None:
    """Raises `ValueError` where a named, known value is outside `[low, high]`."""
    for name, value in values.items():
        if is_concrete(value):
            least, most = least_and_most(value)
            if not (least >= low and most <= high):
                got = f"{least:g}" if least < low else f"{most:g}"
                raise ValueError(f"{name} must lie in [{low:g}, {high:g}], got {got}")


def labels_in_range(
    labels: Array, num_classes: int, where: Array | None = None
) -> Array:
    """The labels as int32, of which those out of range are -1.

    Raises `TypeError` if labels are not integers, and `ValueError` if a known one is
    not in `[0, num_classes)`, unless the boolean `where` leaves it out.
    """
    return classes_in_range(num_classes, where, labels=labels)


def classes_in_range(
    num_classes: int, where: Array | None = None, **classes: Array
) -> Array:
    """`labels_in_range` for one array of any name."""
    ((name, array),) = classes.items()
    array = as_array(**classes)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(f"{name} must be integers, got {array.dtype}")
    # A narrow dtype may not hold the number of classes, a wide one more than int32.
    if array.dtype.itemsize < 4:
        array = array.astype(jnp.int32)
    if is_concrete(array) and is_concrete(where):
        known = np.asarray(jax.device_get(array))
        if where is not None:
            known = known[np.asarray(jax.device_get(where))]
        if ((known < 0) | (known >= num_classes)).any():
            raise ValueError(
                f"{name} must lie in [0, {num_classes}), "
                f"got values from {known.min()} to {known.max()}"
            )
    in_range = (array >= 0) & (array < num_classes)
    return jnp.where(in_range, array.astype(jnp.int32), -1)


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
