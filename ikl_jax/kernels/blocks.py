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
LEAST = 1024  # smaller blocks are not worth whole rows of the arguments


class Blocks(NamedTuple):
    """How arrays of rows are divided.

    An array with one row, or one column, is not divided in that direction.

    Attributes:
      rows: of a block.
      width: its classes. All of them, or a multiple of the lanes.
      class_blocks: the number of blocks of classes.
      row_blocks: the number of blocks of rows.
      copies: how often whole rows of the arguments lie in fast memory: twice, so that a
        chip reads the next rows meanwhile; once; or 0, not as a whole.
    """

    rows: int
    width: int
    class_blocks: int
    row_blocks: int
    copies: int

    @classmethod
    def create(
        cls,
        arguments: Sequence[Array],
        results: Sequence[Array],
        memory: int,
        most: int | None,
    ) -> "Blocks":
        """Blocks of all arrays that take up to `memory` bytes.

        Args:
          arguments: the arrays that are read.
          results: the arrays that are written.
          memory: the bytes of fast memory.
          most: the classes of a block, at most. None: a whole row if it fits.
        """
        arrays = [*arguments, *results]
        count = max(len(x) for x in arrays)
        classes = max(x.shape[1] for x in arrays)
        rows = min(count, max(_height(x) for x in arrays if len(x) == count))
        row_blocks = math.ceil(count / rows)
        is_allowed = classes <= max(most or classes, LANES)
        if is_allowed and _bytes(arrays, rows, classes) <= memory:
            return cls(rows, classes, 1, row_blocks, 2)
        for copies in (2, 1):
            # Whole blocks may reach beyond the last class by less than one of them.
            whole = copies * sum(_size(x, rows, classes + MOST) for x in arguments)
            width = min(most or MOST, _fitting(results, rows, memory - whole))
            if width >= min(most or LEAST, LEAST):
                return cls(rows, *_divided(classes, width), row_blocks, copies)
        width = min(most or MOST, max(LANES, _fitting(arrays, rows, memory)))
        return cls(rows, *_divided(classes, width), row_blocks, 0)

    def shape(self, array: Array, *, is_whole: bool = False) -> tuple[int, int]:
        """The shape of a block of an array, or of its blocks of classes together."""
        rows, classes = array.shape
        width = self.width * (self.class_blocks if is_whole else 1)
        return (1 if rows == 1 else self.rows), (1 if classes == 1 else width)


def _divided(classes: int, most: int) -> tuple[int, int]:
    """The width and the number of equal blocks; the last may reach beyond the end."""
    count = math.ceil(classes / most)
    width = math.ceil(classes / count / LANES) * LANES
    return width, math.ceil(classes / width)


def _fitting(arrays: Sequence[Array], rows: int, memory: int) -> int:
    """The classes of a block of the arrays that fits into memory, or less than one."""
    one, two = (_bytes(arrays, rows, k * LANES) for k in (1, 2))
    return LANES * (1 + (memory - one) // (two - one))


def _bytes(arrays: Sequence[Array], rows: int, width: int) -> int:
    """About how many bytes of fast memory a block takes, each array of it twice."""
    kept = KEPT * math.ceil(rows / 8) * 8 * math.ceil(width / LANES) * LANES * 4
    return kept + 2 * sum(_size(x, rows, width) for x in arrays)


def _size(array: Array, rows: int, width: int) -> int:
    """The bytes of one block of an array, in whole registers."""
    rows, width = min(rows, len(array)), 1 if array.shape[1] == 1 else width
    height = math.ceil(rows / _height(array)) * _height(array)
    lanes = math.ceil(width / LANES) * LANES
    return height * lanes * array.dtype.itemsize


def _height(array: Array) -> int:
    """The rows of a register of the array's numbers."""
    return TILE_BYTES // array.dtype.itemsize
