"""Defects of the one-pass kernels."""

from tests.defects.defect import Defect

KERNELS = "ikl_jax/kernels"
OF_VALUES = ("tests/ikl_jax/kernels/test_against_dense.py",)
OF_PASSES = ("tests/ikl_jax/kernels/test_passes.py",)
OF_TRITON = ("tests/ikl_jax/kernels/test_triton.py",)
OF_USE = ("tests/ikl_jax/kernels/test_use.py",)

DEFECTS = [
    Defect(
        "every block of rows has the first block's shared weights' rows",
        KERNELS,
        "lambda i: (0, 0) if is_shared else (i, 0)",
        "lambda i: (0, 0)",
        OF_VALUES,
    ),
    Defect(
        "the backward pass of a sum of a kernel's losses scales nothing",
        KERNELS,
        "scaled = [weighted_sums.times(gradient, cotangent) for gradient in gradients]",
        "scaled = list(gradients)",
        OF_USE,
    ),
    Defect(
        "a kernel keeps gradients in float16 before a loss scale multiplies them",
        KERNELS,
        "kept = [kept_dtype(x.dtype, compute_dtype(x.dtype)) for x in some]",
        "kept = [x.dtype for x in some]",
        OF_USE,
    ),
    Defect(
        "a kernel's mask leaves out what should take part",
        KERNELS,
        "where = (self.where.astype(jnp.int32) != 0)[None]",
        "where = (self.where.astype(jnp.int32) == 0)[None]",
        OF_VALUES,
    ),
    Defect(
        "a kernel is chosen on every platform",
        KERNELS,
        "(*arrays, default=function, **branches)",
        "(*arrays, default=lambda *given: self.mosaic(function, given), **branches)",
        OF_USE,
    ),
    Defect(
        "GKL's kernel counts every row as if its weights were the softmax's",
        KERNELS,
        "w = inputs.weights(weights[0], where) if weights else None",
        "w = None",
        OF_VALUES,
    ),
    Defect(
        "rows that do not fit into fast memory go there whole",
        KERNELS,
        "_bytes(arrays, rows, classes) <= memory",
        "_bytes(arrays, rows, classes) <= 1000 * memory",
        OF_PASSES,
    ),
    Defect(
        "a kernel takes more fast memory than a v4 has",
        KERNELS,
        "memory: int = 14 * MIB",
        "memory: int = 100 * MIB",
        OF_PASSES,
    ),
    Defect(
        "what stands beyond the last class counts",
        KERNELS,
        "x = jnp.where(number < classes, x, self.neutral)",
        "x = jnp.where(number < classes, x, x)",
        OF_PASSES,
    ),
    Defect(
        "the maximum of classes that are all negative is zero",
        KERNELS,
        "Kind(_largest, larger, -jnp.inf)",
        "Kind(_largest, larger, 0.0)",
        OF_PASSES,
    ),
    Defect(
        "all reductions are computed in the first pass",
        KERNELS,
        "                level += 1",
        "                level += 0",
        OF_PASSES,
    ),
    Defect(
        "a block replaces what earlier blocks added",
        KERNELS,
        "jnp.where(block == 0, x, combined)",
        "jnp.where(block >= 0, x, combined)",
        OF_PASSES,
    ),
    Defect(
        "an argument with one row is read once for all blocks of classes",
        KERNELS,
        "        if classes > 1 and levels:",
        "        if classes > 1 and rows > 1 and levels:",
        OF_PASSES,
    ),
    Defect(
        "a GPU's maximum leaves out NaN, so KL's loss is zero",
        KERNELS,
        'INSTEAD = {"max": larger, "min": smaller}',
        "INSTEAD = {}",
        OF_TRITON,
    ),
    Defect(
        "the largest of some numbers and NaN is a number",
        KERNELS,
        "jnp.where((x > y) | (x != x), x, y)",
        "jnp.where(~(x < y), x, y)",
        OF_PASSES,
    ),
    Defect(
        "a GPU's kernel reads beyond the last class",
        KERNELS,
        "        return view, number < self.passes.classes",
        "        return view, number >= 0",
        OF_TRITON,
    ),
    Defect(
        "a GPU's kernel writes the results of one block to all",
        KERNELS,
        "self.write(block, totals, have_classes=True)",
        "self.write(0, totals, have_classes=True)",
        OF_PASSES,
    ),
    Defect(
        "a GPU's kernel is chosen though nobody asks for it",
        KERNELS,
        "triton: Triton | None = None",
        "triton: Triton | None = Triton()",
        OF_TRITON,
    ),
    Defect(
        "a program for GPUs has the kernel of TPUs",
        KERNELS,
        '(("tpu", self.mosaic), ("cuda", self.triton))',
        '(("cuda", self.mosaic), ("tpu", self.triton))',
        OF_TRITON,
    ),
    Defect(
        "whole rows in fast memory are read in the first block of classes only",
        KERNELS,
        "given[i][:, pl.ds(first, passes.width)] if is_whole",
        "given[i][:, pl.ds(0, passes.width)] if is_whole",
        OF_PASSES,
    ),
    Defect(
        "a block that is read again is the first one in each pass",
        KERNELS,
        "column = jnp.where(takes_part, j, 0)",
        "column = jnp.where(takes_part & (level > 0), j, 0)",
        OF_PASSES,
    ),
]
