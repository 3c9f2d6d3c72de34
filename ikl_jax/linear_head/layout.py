"""How tokens are divided into chunks."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from ikl_jax.types import Array

# Float32 logits of one chunk, where the caller does not say how large it is. Every
# chunk reads the kernel and reads and writes its gradient, which is as quick as the
# products from about a thousand tokens.
CHUNK_BYTES = 640 * 2**20
# Neighbouring tokens that stay together. TPUs keep eight rows of an array together; if
# fewer were taken of each, the whole array would be copied into another form.
BLOCK = 8


@dataclasses.dataclass(frozen=True)
class Layout:
    """A division of tokens into chunks of one size.

    With n chunks, chunk j holds every n-th block of tokens, beginning with block j. So
    where the tokens are divided over devices, each device has its share of every chunk.
    A chunk's positions beyond the last token repeat that token.

    Attributes:
      tokens: T >= 1, how many there are.
      size: of a chunk.
    """

    tokens: int
    size: int

    @classmethod
    def create(cls, tokens: int, classes: int, size: int | None) -> "Layout":
        """The layout of the given chunk size; None: what `CHUNK_BYTES` allow.

        Of the numbers of chunks from the smallest possible one to twice as many, the
        first that divides the tokens into whole blocks is taken, else the smallest one.
        """
        if size is not None:
            return cls(tokens, min(size, tokens))
        largest = max(CHUNK_BYTES // (4 * classes), BLOCK)
        if tokens <= largest:
            return cls(tokens, tokens)
        fewest = math.ceil(tokens / largest)
        counts = range(fewest, 2 * fewest + 1)
        count = next((n for n in counts if tokens % (n * BLOCK) == 0), fewest)
        return cls(tokens, BLOCK * math.ceil(tokens / (count * BLOCK)))

    @property
    def count(self) -> int:
        """The number of chunks."""
        return math.ceil(self.tokens / self.size)

    @property
    def chunks(self) -> Array:
        """The numbers of the chunks, to scan over."""
        return jnp.arange(self.count, dtype=jnp.int32)

    def pick(self, x: Array, chunk: Array) -> Array:
        """The rows of a chunk: `[T, ...]` to `[size, ...]`."""
        if self.tokens != self.size * self.count:
            return jnp.take(x, self._positions(chunk), axis=0)
        parts = x.reshape(*self._parts, *x.shape[1:])
        rows = jax.lax.dynamic_index_in_dim(parts, chunk, axis=1, keepdims=False)
        return rows.reshape(self.size, *x.shape[1:])

    def pick_once(self, x: Array, chunk: Array) -> Array:
        """`pick`, but zero in the positions that repeat the last token."""
        padded = jnp.pad(x, (0, self.size * self.count - self.tokens))
        return dataclasses.replace(self, tokens=len(padded)).pick(padded, chunk)

    def empty(self, row: tuple[int, ...], dtype: jnp.dtype) -> Array:
        """Zeros for `put`, for rows of the given shape."""
        return jnp.zeros((*self._parts, *row), dtype)

    def put(self, parts: Array, rows: Array, chunk: Array) -> Array:
        """What `empty` made, with the rows of a chunk in their places."""
        rows = rows.reshape(*self._parts[::2], *rows.shape[1:]).astype(parts.dtype)
        return jax.lax.dynamic_update_index_in_dim(parts, rows, chunk, axis=1)

    def whole(self, parts: Array) -> Array:
        """The rows of all tokens, `[T, ...]`, of what all chunks were put in."""
        return parts.reshape(-1, *parts.shape[3:])[: self.tokens]

    @property
    def _parts(self) -> tuple[int, int, int]:
        """Blocks of a chunk, chunks, tokens of a block."""
        block = BLOCK if self.size % BLOCK == 0 else 1
        return self.size // block, self.count, block

    def _positions(self, chunk: Array) -> Array:
        """The tokens of a chunk, `[size]`."""
        _, count, block = self._parts
        place = jnp.arange(self.size, dtype=chunk.dtype)
        positions = (place // block * count + chunk) * block + place % block
        return jnp.minimum(positions, self.tokens - 1)
