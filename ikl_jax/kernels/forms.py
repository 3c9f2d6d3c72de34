"""How a function of rows is computed: by XLA, or block by block in a Pallas kernel.

A function of rows maps arrays of two dimensions to such arrays. Row i of a result
depends on row i of the arguments, and on arguments of a single row, which all rows
share. So it may be computed for some rows at a time.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

from ikl_jax.types import Array

RowFunction = Callable[..., list[Array]]


class Form(Protocol):
    """A way to compute a function of rows."""

    def __call__(self, function: RowFunction, arrays: Sequence[Array]) -> list[Array]:
        """`function(*arrays)`."""
        ...


@dataclasses.dataclass(frozen=True)
class Xla:
    """XLA's own programs, as those of the losses in `ikl_jax`."""

    def __call__(self, function: RowFunction, arrays: Sequence[Array]) -> list[Array]:
        return function(*arrays)
