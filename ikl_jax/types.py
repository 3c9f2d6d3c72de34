"""Types that several modules of the library share.

Shape letters used in docstrings:

- `...` any number of leading dimensions (none for a single example);
- `B` examples in a batch, `C` classes;
- `H`, `W`, `K` an image's height, width and channels.
"""

from typing import Any, Protocol

import jax

Array = jax.Array
PyTree = Any
Scalar = float | Array


class LogitsFn(Protocol):
    """A classifier as attacks call it: maps inputs `[B, ...]` to logits `[B, C]`."""

    def __call__(self, x: Array, /) -> Array: ...


class LossFn(Protocol):
    """A loss that an attack increases: maps inputs `[B, ...]` to losses `[B]`."""

    def __call__(self, x: Array, /) -> Array: ...
