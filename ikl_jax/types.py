"""The few types that the library's rooms share.

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
    """A classifier as the attacks see it: inputs `[B, ...]` to logits `[B, C]`."""

    def __call__(self, x: Array, /) -> Array: ...


class LossFn(Protocol):
    """What an attack increases: inputs `[B, ...]` to one loss per example, `[B]`."""

    def __call__(self, x: Array, /) -> Array: ...
