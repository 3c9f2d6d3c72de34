"""Checks of arguments that the attacks have in common."""

import operator
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from ikl_jax import checks
from ikl_jax.attacks.common import geometry
from ikl_jax.types import Array, Scalar

IMAGE_RANK = 4
CLASS_DTYPE = np.int32


def inside_jit() -> bool:
    """Whether this is called while JAX traces a program."""
    # Under jit even jnp.zeros(()) is a tracer.
    return isinstance(jnp.zeros(()), jax.core.Tracer)


def from_python(attack: str, *arguments: object) -> None:
    """Raises `TypeError` unless an attack is called from Python, on known arguments.

    Args:
      attack: its name, for the message.
      arguments: pytrees of what `jit`, `grad` or `vmap` may have traced.
    """
    leaves = jax.tree.leaves(arguments)
    if inside_jit() or any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
        raise TypeError(
            f"{attack} runs several compiled programs and decides between them in "
            "Python: call it outside of jit, grad and vmap"
        )


def inputs(x: Array, labels: Array) -> tuple[Array, Array]:
    """`x` `[B, ...]` and labels `[B]` as arrays, labels in int32.

    Raises:
      ValueError: `x` has no batch axis or values outside of [0, 1], or the labels do
        not fit to it.
      TypeError: `x` is not floating point, or the labels are not integers.
    """
    x = jnp.asarray(x)
    checks.floating(x=x)
    checks.rank_at_least(1, x=x)
    geometry.check_bounds(geometry.BOX, x)
    return x, jnp.asarray(classes(x, labels=labels))


def classes(x: Array | np.ndarray, **named: Any) -> Array | np.ndarray:
    """One class for each example of `x`, `[N]` in int32, and given by its name.

    A narrower dtype than int32 would wrap around where it meets the number of classes.
    What is not a JAX array stays on the host.

    Raises:
      ValueError: there is not one value for each example.
      TypeError: they are not integers.
    """
    ((name, given),) = named.items()
    array = given if isinstance(given, jax.Array) else np.asarray(given)
    if array.shape != x.shape[:1]:
        hint = ""
        if array.ndim == 2 and len(array) == len(x):
            hint = (
                f"; take {name}[:, 0]"
                if array.shape[1] == 1
                else f"; of one-hot {name} take {name}.argmax(-1)"
            )
        raise ValueError(
            f"{name} must have shape {x.shape[:1]}, [N] integers, one class for each "
            f"example of x, got {array.shape} {array.dtype}{hint}"
        )
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(f"{name} must be integers, got {array.dtype}")
    if isinstance(array, np.ndarray) and array.size:
        most = np.iinfo(CLASS_DTYPE).max
        if array.min() < -most or array.max() > most:
            raise ValueError(
                f"{name} must be class numbers, got values from {array.min()} to "
                f"{array.max()}"
            )
    return array.astype(CLASS_DTYPE)


def numbers(**values: Scalar) -> None:
    """Raises `ValueError` unless each value is one real number, known or traced."""
    for name, value in values.items():
        shape = getattr(value, "shape", None)
        if shape is None:
            shape = () if isinstance(value, int | float) else None
        if shape is None or isinstance(value, bool):
            raise ValueError(f"{name} must be one number, got {value!r}")
        if shape != ():
            raise ValueError(
                f"{name} must be one number for all examples, got an array of shape "
                f"{shape}"
            )


def radius(**values: Scalar) -> None:
    """Raises `ValueError` unless each value is one positive and finite number."""
    numbers(**values)
    checks.positive(**values)
    for name, value in values.items():
        if checks.is_concrete(value) and checks.least_and_most(value)[1] == np.inf:
            raise ValueError(f"{name} must be finite, got inf")


def counts(least: int, **values: Any) -> None:
    """Raises `ValueError` unless each is an integer of `least` (0 or 1) or more."""
    rule = "> 0" if least else ">= 0"
    for name, value in values.items():
        try:
            number = operator.index(value)
        except TypeError:
            number = None
        if number is None or isinstance(value, bool):
            raise ValueError(f"{name} must be an integer {rule}, got {value!r}")
        if number < least:
            raise ValueError(f"{name} must be {rule}, got {number}")


def images(x: Array) -> None:
    """Raises `ValueError` unless `x` is a batch of images, of a pixel at least."""
    if x.ndim != IMAGE_RANK or not x[0].size:
        raise ValueError(
            "the Square Attack moves windows over images and needs x of shape "
            f"[batch, height, width, channels], got {x.shape}"
        )
