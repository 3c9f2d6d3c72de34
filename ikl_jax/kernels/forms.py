"""How a function of rows is computed: by XLA, or block by block in a Pallas kernel.

A function of rows maps arrays of two dimensions to such arrays. Row i of a result
depends on row i of the arguments, and on arguments of a single row, which all rows
share. So it may be computed for some rows at a time.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Protocol

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from ikl_jax.types import Array

RowFunction = Callable[..., list[Array]]

LANES = 128  # a TPU's vector registers are so many numbers wide
TILE_BYTES = 32  # and so many bytes high
# Arrays of a block that Mosaic keeps beside those of the arguments and the results:
# it took 5 for IKL with all gradients.
KEPT = 8
MIB = 2**20
# Every supported TPU has this much fast memory left for a block: a v4 has 16 MiB.
EVERYWHERE = 14 * MIB
TYPES = (jnp.float32, jnp.bfloat16, jnp.int32, jnp.int8)  # the last two are of masks


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


@dataclasses.dataclass(frozen=True)
class Mosaic:
    """A kernel for TPUs: a block of whole rows at a time lies in fast memory.

    Every array is read once and every result is written once.

    Attributes:
      memory: bytes of fast memory (VMEM) that a block may take. A v5e or a v6e has 128
        MiB of it.
      interpret: runs the kernel on any platform, slowly, for tests.
    """

    memory: int = 100 * MIB
    interpret: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.memory / MIB <= 1024:
            raise ValueError(
                f"memory must lie in [1 MiB, 1024 MiB], got {self.memory} bytes"
            )

    def problem(self, arrays: Sequence[Array], results: Sequence[Array]) -> str | None:
        """Why these arrays do not go through the kernel; None: they do."""
        for array in (*arrays, *results):
            if array.dtype not in TYPES:
                return f"a TPU's kernel takes float32 or bfloat16, got {array.dtype}"
        needed = block_bytes(arrays, results)
        if needed > self.memory:
            return (
                f"a block of {block_rows(arrays, results)} rows of "
                f"{max(x.shape[1] for x in arrays)} classes takes about "
                f"{needed / MIB:.0f} MiB of fast memory, which is more than memory = "
                f"{self.memory / MIB:.0f} MiB"
            )
        return None

    def __call__(self, function: RowFunction, arrays: Sequence[Array]) -> list[Array]:
        results = jax.eval_shape(function, *arrays)
        if found := self.problem(arrays, results):
            raise ValueError(found)
        count, rows = len(results[0]), block_rows(arrays, results)

        def kernel(*refs: Array) -> None:
            given, places = refs[: len(arrays)], refs[len(arrays) :]
            found = function(*(ref[...] for ref in given))
            for place, x in zip(places, found, strict=True):
                place[...] = x

        run = pl.pallas_call(
            kernel,
            grid=(pl.cdiv(count, rows),),
            in_specs=[_block(x, rows) for x in arrays],
            out_specs=[_block(x, rows) for x in results],
            out_shape=results,
            interpret=self.interpret,
            compiler_params=pltpu.CompilerParams(
                dimension_semantics=("parallel",), vmem_limit_bytes=self.memory
            ),
        )
        return list(run(*arrays))


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The kernel where a TPU runs the program and the rows fit, XLA's form elsewhere.

    Attributes:
      mosaic: the kernel. Its default takes what every TPU since v4 has, because which
        TPU is compiled for is not known when the program is traced.
      least: the number of classes from which on the kernel is used. With fewer, a loss
        is a small part of a program, and XLA joins it to what is before it.
    """

    mosaic: Mosaic = Mosaic(memory=EVERYWHERE)
    least: int = 4096

    def __call__(self, function: RowFunction, arrays: Sequence[Array]) -> list[Array]:
        results = jax.eval_shape(function, *arrays)
        is_small = max(x.shape[1] for x in arrays) < self.least
        if is_small or self.mosaic.problem(arrays, results):
            return function(*arrays)
        return jax.lax.platform_dependent(
            *arrays,
            tpu=lambda *given: self.mosaic(function, given),
            default=function,
        )


def block_rows(arrays: Sequence[Array], results: Sequence[Array]) -> int:
    """The rows of a block: as many as the narrowest numbers fill a register with."""
    count = len(results[0])
    least = min(x.dtype.itemsize for x in (*arrays, *results) if len(x) == count)
    return min(TILE_BYTES // least, count)


def block_bytes(arrays: Sequence[Array], results: Sequence[Array]) -> int:
    """About how many bytes of fast memory a block takes, each array of it twice."""
    rows = block_rows(arrays, results)
    pairs = [2 * _padded(x, rows) * x.dtype.itemsize for x in (*arrays, *results)]
    widest = max(_padded(x, rows) for x in (*arrays, *results))
    return sum(pairs) + 4 * KEPT * widest


def _padded(array: Array, rows: int) -> int:
    """The numbers in a block of the array, rounded up to whole registers."""
    height = TILE_BYTES // array.dtype.itemsize
    return math.ceil(rows / height) * height * math.ceil(array.shape[1] / LANES) * LANES


def _block(array: Array, rows: int) -> pl.BlockSpec:
    if len(array) == 1:
        return pl.BlockSpec(array.shape, lambda i: (0, 0))
    return pl.BlockSpec((rows, array.shape[1]), lambda i: (i, 0))
