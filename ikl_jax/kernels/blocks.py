"""The sizes of the blocks that lie in a TPU's fast memory (VMEM)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from ikl_jax.types import Array

LANES = 128  # a TPU's vector registers are so many numbers wide
TILE_BYTES = 32  # and so many bytes high
# Arrays of a block that Mosaic keeps beside those of the arguments and the results:
# it took 5 for IKL with all gradients.
KEPT = 8
# Classes of a block where a row does not fit. Mosaic's programs and the time to compile
# them grow with the block; this one takes a chip longer to read than to begin.
MOST = 8192


class Blocks(NamedTuple):
    """How arrays of rows are divided.

    An array with one row, or one column, is not divided in that direction.

    Attributes:
      rows: of a block.
      width: its classes. All of them, or a multiple of the lanes.
      row_blocks: the number of blocks of rows.
      class_blocks: the number of blocks of classes.
    """

    rows: int
    width: int
    row_blocks: int
    class_blocks: int

    @classmethod
    def create(cls, arrays: Sequence[Array], memory: int, most: int | None) -> "Blocks":
        """Blocks of all arrays that take up to `memory` bytes.

        Args:
          arrays: the arguments and the results.
          memory: the bytes of fast memory.
          most: the classes of a block, at most. None: a whole row if it fits.
        """
        count = max(len(x) for x in arrays)
        classes = max(x.shape[1] for x in arrays)
        rows = min(count, max(_height(x) for x in arrays if len(x) == count))
        row_blocks = math.ceil(count / rows)
        is_allowed = classes <= max(most or classes, LANES)
        if is_allowed and _bytes(arrays, rows, classes) <= memory:
            return cls(rows, classes, row_blocks, 1)
        one, two = (_bytes(arrays, rows, k * LANES) for k in (1, 2))
        fitting = LANES * max(1, 1 + (memory - one) // (two - one))
        class_blocks = math.ceil(classes / min(most or MOST, fitting))
        width = math.ceil(classes / class_blocks / LANES) * LANES
        return cls(rows, width, row_blocks, math.ceil(classes / width))

    def shape(self, array: Array) -> tuple[int, int]:
        """The shape of a block of an array."""
        rows, classes = array.shape
        return (1 if rows == 1 else self.rows), (1 if classes == 1 else self.width)


def _bytes(arrays: Sequence[Array], rows: int, width: int) -> int:
    """About how many bytes of fast memory a block takes, each array of it twice."""
    sizes = []
    for x in arrays:
        height, wide = min(len(x), rows), min(x.shape[1], width)
        padded = math.ceil(height / _height(x)) * _height(x)
        sizes.append((padded * math.ceil(wide / LANES) * LANES, x.dtype.itemsize))
    return sum(2 * n * itemsize for n, itemsize in sizes) + 4 * KEPT * max(sizes)[0]


def _height(array: Array) -> int:
    """The rows of a register of the array's numbers."""
    return TILE_BYTES // array.dtype.itemsize
