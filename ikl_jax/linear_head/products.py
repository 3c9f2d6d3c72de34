"""The products of a head's hidden states and its kernel, which most of the time is for.

Both are multiplied in their own dtype, and sums are in float32 (float64 for float64).
Gradients of logits are far below what float16 can hold, so with float16 the products of
gradients are computed in float32.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ikl_jax.divergences.derivatives import LARGE
from ikl_jax.divergences.weighted_sums import has_range_of_float32
from ikl_jax.types import Array, compute_dtype


class Linear(NamedTuple):
    """Hidden states `[t, H]`, and the kernel `[H, V]` that they are multiplied by."""

    hidden: Array
    kernel: Array

    @property
    def sum_dtype(self) -> jnp.dtype:
        """The dtype of the sums."""
        dtypes = [compute_dtype(x.dtype) for x in self]
        return max(dtypes, key=lambda dtype: dtype.itemsize)

    @property
    def factor_dtype(self) -> jnp.dtype:
        """The dtype of the factors: their own, or that of the sums if they differ."""
        is_same = self.hidden.dtype == self.kernel.dtype
        return self.hidden.dtype if is_same else self.sum_dtype

    def product(self) -> Array:
        """`hidden @ kernel`, `[t, V]`."""
        return self._dot(self.hidden, self.kernel, (1, 0), self.factor_dtype)

    def by_hidden(self, by_product: Array) -> Array:
        """The gradient of the hidden states, in `sum_dtype`, of that of the product."""
        return self._dot(by_product, self.kernel, (1, 1), self._slope_dtype)

    def by_kernel(self, by_product: Array) -> Array:
        """The gradient of the kernel, in `sum_dtype`."""
        return self._dot(self.hidden, by_product, (0, 0), self._slope_dtype)

    def without_nan(self, is_live: Array) -> "Linear":
        """Zero for the hidden states that may have a NaN product and are not live."""
        size = jnp.abs(self.hidden.astype(self.sum_dtype))
        is_ordinary = jnp.all(size < LARGE, axis=1)
        keep = (is_live | is_ordinary)[:, None]
        return self._replace(hidden=jnp.where(keep, self.hidden, 0))

    @property
    def _slope_dtype(self) -> jnp.dtype:
        """The dtype of the factors, one of which is a gradient."""
        dtype = self.factor_dtype
        return dtype if has_range_of_float32(dtype) else self.sum_dtype

    def _dot(
        self, a: Array, b: Array, axes: tuple[int, int], dtype: jnp.dtype
    ) -> Array:
        a, b = a.astype(dtype), b.astype(dtype)
        contracted = ((axes[0],), (axes[1],)), ((), ())
        return jax.lax.dot_general(
            a, b, contracted, preferred_element_type=self.sum_dtype
        )
