"""How examples are dealt out to calls of compiled programs."""

import dataclasses
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax.types import Array

DEFAULT_SIZE = 256
# The part of a full batch up to which small ones, which devices may not be filled by,
# cost less than the padding to a full one.
MOST_IN_SMALL = 0.75


@dataclasses.dataclass(frozen=True)
class Batches:
    """How many rows go into one call.

    Two sizes are all that programs are compiled for: full batches, and small ones for
    what remains, so that few examples do not cost what many do.

    Attributes:
      size: of a full batch.
      small: of a small one.
      sharding: of a batch over devices, which both sizes must divide into; None: it
        stays on JAX's default device.
    """

    size: int
    small: int
    sharding: jax.sharding.Sharding | None = None

    @classmethod
    def of(cls, size: int, sharding: jax.sharding.Sharding | None = None) -> "Batches":
        """Small batches of an eighth; both rounded up to multiples of the devices."""
        devices = 1 if sharding is None else sharding.num_devices
        small = -(-size // (8 * devices)) * devices
        return cls(-(-size // devices) * devices, small, sharding)

    @classmethod
    def for_examples(
        cls, count: int, size: int | None, sharding: jax.sharding.Sharding | None
    ) -> "Batches":
        """For that many examples; size None: `DEFAULT_SIZE` at most."""
        return cls.of(min(size or DEFAULT_SIZE, count), sharding)

    def split(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Runs of `rows` that each fit into one call."""
        whole = len(rows) - len(rows) % self.size
        for start in range(0, whole, self.size):
            yield rows[start : start + self.size]
        rest = rows[whole:]
        step = self.small if len(rest) <= MOST_IN_SMALL * self.size else self.size
        for start in range(0, len(rest), step):
            yield rest[start : start + step]

    def padded(self, rows: np.ndarray) -> np.ndarray:
        """The rows, some of them again, up to one of the two sizes.

        Rows that are there twice come to the same end, so they delay no batch.
        """
        return np.resize(rows, self.small if len(rows) <= self.small else self.size)

    def put(self, array: np.ndarray | Array) -> Array:
        return jnp.asarray(array) if self.sharding is None else self._divided(array)

    def _divided(self, array: np.ndarray | Array) -> Array:
        return jax.device_put(array, self.sharding)
