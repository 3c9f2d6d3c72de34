"""The form that is taken where none is named."""

import dataclasses
from collections.abc import Sequence

import jax

from ikl_jax.kernels.forms import RowFunction
from ikl_jax.kernels.mosaic import Mosaic
from ikl_jax.kernels.triton import Triton
from ikl_jax.types import Array


@dataclasses.dataclass(frozen=True)
class Chosen:
    """A kernel where the program is compiled for a TPU or a GPU, XLA's form elsewhere.

    Attributes:
      mosaic: the kernel for TPUs. None: XLA's form.
      triton: the kernel for NVIDIA's GPUs. None, the default: XLA's form, because the
        kernel was never measured, and JAX 0.12 warns that it will drop Pallas' Triton.
      least: the number of classes from which on a kernel is used. With fewer, a loss
        is a small part of a program, and XLA joins it to what is before it.
    """

    mosaic: Mosaic | None = dataclasses.field(default_factory=Mosaic)
    triton: Triton | None = None
    least: int = 4096

    def __call__(self, function: RowFunction, arrays: Sequence[Array]) -> list[Array]:
        results = jax.eval_shape(function, *arrays)
        if max(x.shape[1] for x in arrays) < self.least:
            return function(*arrays)
        branches = {}
        for platform, form in (("tpu", self.mosaic), ("cuda", self.triton)):
            if form is not None and not form.problem([*arrays, *results]):
                branches[platform] = lambda *given, form=form: form(function, given)
        if not branches:
            return function(*arrays)
        return jax.lax.platform_dependent(*arrays, default=function, **branches)
