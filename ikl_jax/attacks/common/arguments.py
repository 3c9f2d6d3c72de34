"""Checks that the attacks on a logits function have in common."""

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from ikl_jax import checks
from ikl_jax.attacks.common import geometry
from ikl_jax.types import Array

IMAGE_RANK = 4


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
    """`x` `[B, ...]` and labels `[B]` as arrays.

    Raises:
      ValueError: `x` has no batch axis or values outside of [0, 1], or the labels do
        not fit to it.
      TypeError: `x` is not floating point.
    """
    x, labels = jnp.asarray(x), jnp.asarray(labels)
    checks.floating(x=x)
    checks.rank_at_least(1, x=x)
    geometry.check_bounds(geometry.BOX, x)
    one_each(x, labels=labels)
    return x, labels


def one_each(x: Array | np.ndarray, **classes: Array | np.ndarray) -> None:
    """Raises `ValueError` unless every named array has one entry for each example."""
    for name, array in classes.items():
        if array.shape != x.shape[:1]:
            raise ValueError(
                f"{name} must have shape {x.shape[:1]}, one class for each example of "
                f"x, got {array.shape}"
            )


def images(x: Array) -> None:
    """Raises `ValueError` unless `x` is a batch of images, of a pixel at least."""
    if x.ndim != IMAGE_RANK or not x[0].size:
        raise ValueError(
            "the Square Attack moves windows over images and needs x of shape "
            f"[batch, height, width, channels], got {x.shape}"
        )
