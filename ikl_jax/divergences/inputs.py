"""Checks of the losses' arguments, their masks, and the dtype the losses compute in."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.divergences.closed_form import Weights
from ikl_jax.types import Array, Scalar, compute_dtype


class Inputs(NamedTuple):
    """Both logits, checked and masked, in the dtype that the losses compute in.

    A class that is left out is minus infinity in both.

    Attributes:
      n: `[..., C]`, the prediction.
      m: `[..., C]`, the target.
      dtype: the dtype of the result.
      lowest: a target logit up to this one has weight zero: minus infinity, and the
        smallest number of the target's dtype, which stands for it in many masks.
    """

    n: Array
    m: Array
    dtype: jnp.dtype
    lowest: float

    @property
    def batch(self) -> tuple[int, ...]:
        """The shape of the losses, `[...]`."""
        return self.n.shape[:-1]

    @property
    def is_left_out(self) -> Array:
        """`[...]`, whether all classes of an example are left out."""
        return jnp.all(jnp.isneginf(self.n) & jnp.isneginf(self.m), axis=-1)

    def per_example(self, **values: Scalar) -> list[Array]:
        """The named arguments, each a scalar or `[...]`, as `[...]`."""
        return [
            checks.per_example(self.batch, self.n.dtype, name, value)
            for name, value in values.items()
        ]

    def beside_classes(self, **values: Scalar) -> list[Array]:
        """`per_example` for what acts on each class; refuses what may be a row."""
        for name, value in values.items():
            checks.no_row_of_classes(self.n.shape, name, value)
        return self.per_example(**values)

    def inverse(self, **temperatures: Scalar) -> list[Array]:
        """1 / T for each named temperature T > 0, as `[...]`."""
        arrays = self.beside_classes(**temperatures)
        checks.positive(**temperatures)
        return [1 / array for array in arrays]

    @property
    def is_masked(self) -> Array:
        """`[..., C]`, whether the target says that a class has no weight."""
        return self.m <= self.lowest

    def weights(self, weights: Array, where: Array | None = None) -> Array:
        """The weights, checked, in the compute dtype, stopped; zero without `where`."""
        w = checks.as_array(weights=weights)
        checks.same_shape(weights=w, logits=self.n)
        checks.floating(weights=w)
        if where is not None:
            w = jnp.where(mask(where, w.shape), w, jnp.zeros_like(w))
        checks.none_negative(weights=w)
        return jax.lax.stop_gradient(w.astype(self.n.dtype))

    def as_given(self, weights: Array) -> Weights:
        """Checked weights that are used as they are."""
        return Weights(weights, jnp.ones(self.batch, weights.dtype), self.is_masked)


def prepared(logits: Array, target_logits: Array, where: Array | None = None) -> Inputs:
    """The arguments of a loss, checked."""
    n = checks.as_array(logits=logits)
    m = checks.as_array(target_logits=target_logits)
    checks.same_shape(logits=n, target_logits=m)
    checks.floating(logits=n, target_logits=m)
    checks.rank_at_least(1, logits=n)
    if not n.shape[-1]:
        raise ValueError(f"logits must have at least one class, got shape {n.shape}")
    dtype = compute_dtype(n.dtype)
    lowest = max(float(jnp.finfo(x).min) / 2 for x in (m.dtype, dtype))
    result, n, m = n.dtype, n.astype(dtype), m.astype(dtype)
    if where is not None:
        keep = mask(where, n.shape)
        n, m = (jnp.where(keep, x, -jnp.inf) for x in (n, m))
    return Inputs(n, m, result, lowest)


def mask(where: Array, shape: tuple[int, ...]) -> Array:
    """`where`, checked, in the shape of the logits."""
    return jnp.broadcast_to(checked_mask(where, shape), shape)


def checked_mask(where: Array, shape: tuple[int, ...]) -> Array:
    """`where` as an array, checked that it broadcasts to the shape of the logits."""
    where = checks.as_array(where=where)
    if where.dtype != jnp.bool_:
        raise TypeError(f"where must be boolean, got {where.dtype}")
    ends = zip(reversed(where.shape), reversed(shape), strict=False)
    if where.ndim > len(shape) or any(size not in (1, of) for size, of in ends):
        raise ValueError(
            f"where must broadcast to the logits' shape {shape}, got {where.shape}; "
            "a mask of examples is where[..., None]"
        )
    return where
