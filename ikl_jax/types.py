"""Types that several modules of the library share.

Shape letters used in docstrings:

- `...` any number of leading dimensions (none for a single example);
- `B` examples in a batch, `C` classes;
- `H`, `W`, `K` an image's height, width and channels.
"""

from typing import Any, Protocol

import jax
import jax.numpy as jnp

Array = jax.Array
PyTree = Any
Scalar = float | Array


class LogitsFn(Protocol):
    """A classifier as attacks call it: maps inputs `[B, ...]` to logits `[B, C]`."""

    def __call__(self, x: Array, /) -> Array: ...


class LossFn(Protocol):
    """A loss that an attack increases: maps inputs `[B, ...]` to losses `[B]`."""

    def __call__(self, x: Array, /) -> Array: ...


def compute_dtype(dtype: jnp.dtype) -> jnp.dtype:
    """The dtype to compute with floating-point arrays in: float64 or float32."""
    return jnp.dtype(jnp.float64 if dtype == jnp.float64 else jnp.float32)
