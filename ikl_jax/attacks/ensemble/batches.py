"""Divides examples into batches of two sizes."""

import dataclasses
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax.attacks.common import arguments
from ikl_jax.types import Array

DEFAULT_SIZE = 256
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
        """Small batches have an eighth; both are multiples of the number of devices."""
        devices = 1 if sharding is None else sharding.num_devices
        small = -(-size // (8 * devices)) * devices
        return cls(-(-size // devices) * devices, small, sharding)

    @classmethod
    def for_examples(
        cls, count: int, size: int | None, sharding: jax.sharding.Sharding | None
    ) -> "Batches":
        """For `count` examples. Size None: `DEFAULT_SIZE` at most."""
        size = DEFAULT_SIZE if size is None else size
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
