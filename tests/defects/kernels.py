"""Defects of the one-pass kernels."""

from tests.defects.defect import Defect

KERNELS = "ikl_jax/kernels"
OF_VALUES = ("tests/ikl_jax/kernels/test_against_dense.py",)
OF_USE = ("tests/ikl_jax/kernels/test_use.py",)

DEFECTS = [
    Defect(
        "every block of rows has the first block's shared weights' rows",
        KERNELS,
        "    return pl.BlockSpec((rows, array.shape[1]), lambda i: (i, 0))",
        "    return pl.BlockSpec((rows, array.shape[1]), lambda i: (0, 0))",
        OF_VALUES,
    ),
    Defect(
        "the backward pass of a sum of a kernel's losses scales nothing",
        KERNELS,
        "scaled = [gradient * cotangent.astype(gradient.dtype) for gradient in gradients]",
        "scaled = list(gradients)",
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
        "            default=function,",
        "            default=lambda *given: self.mosaic(function, given),",
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
        "rows that do not fit into fast memory go to the kernel",
        KERNELS,
        "        if needed > self.memory:",
        "        if needed > 1000 * self.memory:",
        OF_USE,
    ),
]
