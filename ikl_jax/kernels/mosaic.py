"""The kernel for TPUs, which Mosaic compiles."""

import dataclasses
import functools
import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from ikl_jax.kernels.blocks import LANES, Blocks
from ikl_jax.kernels.forms import RowFunction
from ikl_jax.kernels.passes import Passes
from ikl_jax.types import Array

MIB = 2**20
TYPES = (jnp.float32, jnp.bfloat16, jnp.int32, jnp.int8)  # the last two are of masks


@dataclasses.dataclass(frozen=True)
class Mosaic:
    """A kernel for TPUs, which reads blocks into fast memory (VMEM).

    If a block of whole rows fits, it is computed at once. Otherwise the classes are cut
    into blocks, and several passes go over them: see `ikl_jax.kernels`. If whole rows
    of the arguments fit, these passes read fast memory, else they read the blocks
    again. Every result is written once.

    Attributes:
      memory: bytes of fast memory that blocks may take, one MiB less than the kernel.
        The default fits every TPU since v4, which has 16 MiB. A v5e or a v6e has 128.
      classes: of a block, at most; a multiple of 128. None: a whole row if it fits.
      interpret: runs the kernel on any platform, slowly, for tests.
    """

    memory: int = 14 * MIB
    classes: int | None = None
    interpret: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.memory / MIB <= 1024:
            raise ValueError(
                f"memory must lie in [1 MiB, 1024 MiB], got {self.memory} bytes"
            )
        if self.classes is not None and (self.classes < 1 or self.classes % LANES):
            raise ValueError(
                f"classes must be a multiple of {LANES}, got {self.classes}"
            )

    def problem(self, arrays: Sequence[Array]) -> str | None:
        """Why these arguments and results are not for the kernel; None: they are."""
        for array in arrays:
            if array.dtype not in TYPES:
                return f"a TPU's kernel takes float32 or bfloat16, got {array.dtype}"
        return None

    def __call__(self, function: RowFunction, arrays: Sequence[Array]) -> list[Array]:
        results = jax.eval_shape(function, *arrays)
        if found := self.problem([*arrays, *results]):
            raise ValueError(found)
        blocks = Blocks.create(arrays, results, self.memory, self.classes)
        if blocks.class_blocks == 1:
            return self._whole_rows(blocks, function, arrays, results)
        return self._blocks_of_classes(blocks, function, arrays, results)

    def _whole_rows(
        self,
        blocks: Blocks,
        function: RowFunction,
        arrays: Sequence[Array],
        results: Sequence[Any],
    ) -> list[Array]:
        def kernel(*refs: Any) -> None:
            given, places = refs[: len(arrays)], refs[len(arrays) :]
            found = function(*(ref[...] for ref in given))
            for place, x in zip(places, found, strict=True):
                place[...] = x

        def spec(x: Array) -> pl.BlockSpec:
            is_shared = len(x) == 1
            return pl.BlockSpec(
                blocks.shape(x), lambda i: (0, 0) if is_shared else (i, 0)
            )

        run = pl.pallas_call(
            kernel,
            grid=(blocks.row_blocks,),
            in_specs=[spec(x) for x in arrays],
            out_specs=[spec(x) for x in results],
            out_shape=results,
            interpret=self.interpret,
            compiler_params=self._parameters("parallel"),
        )
        return list(run(*arrays))

    def _blocks_of_classes(
        self,
        blocks: Blocks,
        function: RowFunction,
        arrays: Sequence[Array],
        results: Sequence[Any],
    ) -> list[Array]:
        shapes = [jax.ShapeDtypeStruct(blocks.shape(x), x.dtype) for x in arrays]
        classes = max(x.shape[1] for x in arrays)
        passes = Passes.create(function, shapes, blocks.width, classes)
        read_in = [
            [k for k in range(passes.count) if i in passes.reads(k)]
            for i in range(len(arrays))
        ]
        run = pl.pallas_call(
            functools.partial(_kernel, passes, len(arrays)),
            grid=(blocks.row_blocks, passes.count, blocks.class_blocks),
            in_specs=[
                _whole_spec(blocks, x) if blocks.copies else _spec(blocks, x, levels)
                for x, levels in zip(arrays, read_in, strict=True)
            ],
            out_specs=[_spec(blocks, x, [passes.count - 1]) for x in results],
            out_shape=results,
            scratch_shapes=[
                pltpu.VMEM((x.rows, 1), jnp.float32) for x in passes.reductions
            ],
            interpret=self.interpret,
            compiler_params=self._parameters("parallel", "arbitrary", "arbitrary"),
        )
        return list(run(*arrays))

    def _parameters(self, *semantics: Any) -> pltpu.CompilerParams:
        return pltpu.CompilerParams(
            dimension_semantics=semantics, vmem_limit_bytes=self.memory + MIB
        )


def _whole_spec(blocks: Blocks, array: Array) -> pl.BlockSpec:
    """All classes of a block of rows, which are read once for all passes."""
    rows = len(array)
    return pl.BlockSpec(
        blocks.shape(array, is_whole=True),
        lambda i, level, j: (0 if rows == 1 else i, 0),
        pipeline_mode=pl.Buffered(blocks.copies),
    )


def _spec(blocks: Blocks, array: Array, levels: Sequence[int]) -> pl.BlockSpec:
    """Which block an array takes part with, for a block of rows, a pass and classes.

    In passes other than the `levels`, a chip neither reads nor writes another block.
    """
    rows, classes = array.shape

    def index(i: Any, level: Any, j: Any) -> tuple[Any, Any]:
        row, column = (0 if rows == 1 else i), 0
        if classes > 1 and levels:
            takes_part = functools.reduce(operator.or_, [level == k for k in levels])
            column = jnp.where(takes_part, j, 0)
        return row, column

    return pl.BlockSpec(blocks.shape(array), index)


def _kernel(passes: Passes, count: int, *refs: Any) -> None:
    """One block of one pass.

    Args:
      passes: the equations.
      count: the number of arguments.
      refs: the blocks of the arguments and of the results, and the totals.
    """
    given, others = refs[:count], refs[count:]
    places = others[: len(passes.jaxpr.outvars)]
    totals = others[len(places) :]
    level, block = pl.program_id(1), pl.program_id(2)
    last = pl.num_programs(2) - 1
    first = pl.multiple_of(block * passes.width, LANES)
    read = lambda: [total[...] for total in totals]

    def load(i: int) -> Array:
        is_whole = given[i].shape[1] > passes.width
        return given[i][:, pl.ds(first, passes.width)] if is_whole else given[i][...]

    def reduce(k: int) -> None:
        found = passes.partial(k, load, read(), first)
        for i, x in zip(passes.at(k), found, strict=True):
            combined = passes.reductions[i].kind.combine(totals[i][...], x)
            totals[i][...] = jnp.where(block == 0, x, combined)

    def write(have_classes: bool) -> None:
        wide = [x for x in places if (x.shape[1] == passes.width) == have_classes]
        found = passes.results(load, read(), have_classes=have_classes)
        for place, x in zip(wide, found, strict=True):
            place[...] = x

    for k in range(passes.count):
        pl.when(level == k)(functools.partial(reduce, k))
    is_last = level == passes.count - 1
    pl.when(is_last)(functools.partial(write, True))
    pl.when(is_last & (block == last))(functools.partial(write, False))
