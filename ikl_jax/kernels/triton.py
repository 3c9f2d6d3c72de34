"""The kernel for GPUs, which Triton compiles."""

import dataclasses
import functools
import importlib
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from ikl_jax.kernels.forms import RowFunction
from ikl_jax.kernels.passes import Passes
from ikl_jax.kernels.reductions import larger, smaller
from ikl_jax.types import Array

LEAST = 128  # classes of a block
TYPES = (jnp.float32, jnp.bfloat16, jnp.float16, jnp.int32, jnp.int8)
# Triton numbers the bytes of up to 4 GiB with 32 bits, of which one is the sign.
MOST_BYTES = 2**31
INSTEAD = {"max": larger, "min": smaller}  # Triton's own leave out NaN


@dataclasses.dataclass(frozen=True)
class Triton:
    """A kernel for NVIDIA's GPUs: a program takes one row, block by block.

    A row is read in several passes, see `ikl_jax.kernels`, of which those after the
    first may find it in the GPU's cache. Every result is written once.

    Attributes:
      classes: of a block; a power of two, 128 at least.
      warps: groups of 32 threads that compute a row.
      interpret: runs the kernel on any platform, slowly, for tests.
    """

    classes: int = 2048
    warps: int = 8
    interpret: bool = False

    def __post_init__(self) -> None:
        for name, least in (("classes", LEAST), ("warps", 1)):
            value = getattr(self, name)
            if value < least or value & (value - 1):
                raise ValueError(
                    f"{name} must be a power of two, {least} at least, got {value}"
                )

    def problem(self, arrays: Sequence[Array]) -> str | None:
        """Why these arguments and results are not for the kernel; None: they are."""
        for array in arrays:
            if array.dtype not in TYPES:
                return (
                    "a GPU's kernel takes float32, bfloat16 or float16, got "
                    f"{array.dtype}"
                )
            if array.dtype.itemsize == 1 and array.size >= MOST_BYTES:
                return (
                    "a GPU's kernel takes a mask of less than 2^31 entries, got shape "
                    f"{array.shape}"
                )
        return None

    def __call__(self, function: RowFunction, arrays: Sequence[Array]) -> list[Array]:
        results = jax.eval_shape(function, *arrays)
        if found := self.problem([*arrays, *results]):
            raise ValueError(found)
        width, classes = self.classes, max(x.shape[1] for x in arrays)
        shapes = [
            jax.ShapeDtypeStruct((1, width if _is_wide(x) else 1), x.dtype)
            for x in arrays
        ]
        passes = Passes.create(function, shapes, width, classes, INSTEAD)
        # JAX may leave this backend out one day; the other forms do not need it.
        backend = importlib.import_module("jax.experimental.pallas.triton")
        run = pl.pallas_call(
            functools.partial(_kernel, backend, passes, len(arrays)),
            grid=(len(results[0]),),
            out_shape=results,
            interpret=self.interpret,
            compiler_params=backend.CompilerParams(num_warps=self.warps, num_stages=2),
        )
        return list(run(*arrays))


def _is_wide(x: Any) -> bool:
    return x.shape[1] > 1


def _kernel(backend: Any, passes: Passes, count: int, *refs: Any) -> None:
    """All passes over one row; the references are those of arguments and results."""
    row = _Row(backend, passes, refs[:count], refs[count:], pl.program_id(0))
    totals = [x.kind.start(x.rows) for x in passes.reductions]
    for level in range(passes.count):
        totals = row.read(level, totals)
    row.write(0, totals, have_classes=False)


@dataclasses.dataclass(frozen=True)
class _Row:
    """A row in a kernel.

    Attributes:
      backend: JAX's module for Triton.
      passes: the equations.
      given: references to the arguments.
      places: references to the results.
      number: of the row.
    """

    backend: Any
    passes: Passes
    given: Sequence[Any]
    places: Sequence[Any]
    number: Any

    def read(self, level: int, totals: Sequence[Array]) -> list[Array]:
        """The totals after a pass, which writes what has classes if it is the last."""
        passes, chosen = self.passes, self.passes.at(level)

        def body(block: Any, sums: list[Array]) -> list[Array]:
            load = functools.partial(self.load, block)
            found = passes.partial(level, load, totals, block * passes.width)
            if level == passes.count - 1:
                self.write(block, totals, have_classes=True)
            return [
                passes.reductions[i].kind.combine(before, x)
                for i, before, x in zip(chosen, sums, found, strict=True)
            ]

        blocks = math.ceil(passes.classes / passes.width)
        sums = jax.lax.fori_loop(0, blocks, body, [totals[i] for i in chosen])
        changed = dict(zip(chosen, sums, strict=True))
        return [changed.get(i, total) for i, total in enumerate(totals)]

    def load(self, block: Any, i: int) -> Array:
        """A block of an argument."""
        view, mask = self.view(self.given[i], block)
        other = None if mask is None else 0
        return self.backend.load(view, mask=mask, other=other)

    def write(self, block: Any, totals: Sequence[Array], *, have_classes: bool) -> None:
        """Writes a block of the results that have classes, or all others."""
        load = functools.partial(self.load, block)
        found = self.passes.results(load, totals, have_classes=have_classes)
        chosen = [ref for ref in self.places if _is_wide(ref) == have_classes]
        for ref, x in zip(chosen, found, strict=True):
            view, mask = self.view(ref, block)
            self.backend.store(view, x, mask=mask)

    def view(self, ref: Any, block: Any) -> tuple[Any, Array | None]:
        """The place of a block in an array, and which of its classes there are."""
        start = self.number if ref.shape[0] > 1 else 0
        if not _is_wide(ref):
            return ref.at[pl.ds(start, 1), pl.ds(0, 1)], None
        width, first = self.passes.width, block * self.passes.width
        view = ref.at[pl.ds(start, 1), pl.ds(first, width)]
        if self.passes.classes % width == 0:
            return view, None
        number = first + jax.lax.broadcasted_iota(jnp.int32, (1, width), 1)
        return view, number < self.passes.classes
