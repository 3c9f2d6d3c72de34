"""Divides examples into batches of two sizes."""

import dataclasses
import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax.attacks.common import arguments
from ikl_jax.types import Array

# CPUs are as quick with few examples, whose arrays stay in their caches, and fewer rows
# of the last batch are padding.
DEFAULT_SIZE, DEFAULT_SIZE_ON_CPU = 256, 64
# Up to this share of a full batch, the rest goes into small batches. Beyond it, padding
# to a full batch costs less than small batches, which may not fill the devices.
MOST_IN_SMALL = 0.75


@dataclasses.dataclass(frozen=True)
class Batches:
    """How many rows go into one call.

    Programs are compiled for two sizes only: full batches, and small ones for what
    remains, so that few examples do not cost what many do.

    Attributes:
      size: of a full batch.
      small: of a small one.
      sharding: of a batch over devices, whose number divides both sizes. None: batches
        stay on JAX's default device.
    """

    size: int
    small: int
    sharding: jax.sharding.Sharding | None = None

    @classmethod
    def of(cls, size: int, sharding: jax.sharding.Sharding | None = None) -> "Batches":
        """Small batches have a quarter; both are multiples of the number of devices."""
        devices = 1 if sharding is None else sharding.num_devices
        multiple = lambda size: math.ceil(size / devices) * devices
        return cls(multiple(size), multiple(size / 4), sharding)

    @classmethod
    def for_examples(
        cls, count: int, size: int | None, sharding: jax.sharding.Sharding | None
    ) -> "Batches":
        """For `count` examples. Size None: at most the platform's default."""
        size = default_size(sharding) if size is None else size
        arguments.counts(1, batch_size=size)
        return cls.of(min(int(size), count), sharding)

    def split(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Parts of `rows` that fit into one call each."""
        whole = len(rows) - len(rows) % self.size
        for start in range(0, whole, self.size):
            yield rows[start : start + self.size]
        rest = rows[whole:]
        step = self.small if len(rest) <= MOST_IN_SMALL * self.size else self.size
        for start in range(0, len(rest), step):
            yield rest[start : start + step]

    def padded(self, rows: np.ndarray) -> np.ndarray:
        """The rows, repeated up to one of the two sizes.

        A repeated row has the same result as the first, so it does not delay the batch.
        """
        return np.resize(rows, self.small if len(rows) <= self.small else self.size)

    def put(self, array: np.ndarray | Array) -> Array:
        """A batch on its devices."""
        if self.sharding is None:
            return jnp.asarray(array)
        return jax.device_put(array, self.sharding)

    @staticmethod
    def input(x: np.ndarray, size: int) -> jax.ShapeDtypeStruct:
        """Shape and dtype of a batch of that size."""
        return jax.ShapeDtypeStruct((size, *x.shape[1:]), x.dtype)


def default_size(sharding: jax.sharding.Sharding | None) -> int:
    """For the devices of a sharding, or JAX's default ones."""
    platform = jax.default_backend()
    if sharding is not None:
        platform = next(iter(sharding.device_set)).platform
    return DEFAULT_SIZE_ON_CPU if platform == "cpu" else DEFAULT_SIZE
