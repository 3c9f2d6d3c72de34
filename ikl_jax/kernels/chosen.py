"""The form that is taken where none is named."""

import dataclasses
from collections.abc import Sequence

import jax

from ikl_jax.kernels.forms import RowFunction
from ikl_jax.kernels.mosaic import Mosaic
from ikl_jax.types import Array


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The kernel where the program is compiled for a TPU, XLA's form elsewhere.

    Attributes:
      mosaic: the kernel for TPUs.
      least: the number of classes from which on the kernel is used. With fewer, a loss
        is a small part of a program, and XLA joins it to what is before it.
    """

    mosaic: Mosaic = dataclasses.field(default_factory=Mosaic)
    least: int = 4096

    def __call__(self, function: RowFunction, arrays: Sequence[Array]) -> list[Array]:
        results = jax.eval_shape(function, *arrays)
        is_small = max(x.shape[1] for x in arrays) < self.least
        if is_small or self.mosaic.problem([*arrays, *results]):
            return function(*arrays)
        return jax.lax.platform_dependent(
            *arrays,
            tpu=lambda *given: self.mosaic(function, given),
            default=function,
        )
