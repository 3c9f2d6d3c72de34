"""A loss as a function of rows, and the gradients of what it depends on.

Formulas are those of `ikl_jax.divergences`, whatever computes them.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ikl_jax.divergences.inputs import prepared
from ikl_jax.divergences.raised_weights import log_squared_total
from ikl_jax.divergences.weighted_sums import kept_dtype
from ikl_jax.types import Array, compute_dtype


class Terms(NamedTuple):
    """All that a loss depends on, in two dimensions.

    Attributes:
      logits: `[B, C]`.
      target: `[B, C]`.
      weights: of the squared error, `[B or 1, C]`, or None.
      where: `[B or 1, C or 1]`, integers, zero for what is left out, or None.
      scalars: arguments of the loss by name, each `[B, 1]`.
    """

    logits: Array
    target: Array
    weights: Array | None
    where: Array | None
    scalars: dict[str, Array]

    def arguments(self) -> tuple[list[Array], Array | None, dict[str, Array]]:
        """The arrays, mask and scalars that a loss of rows is called with.

        The losses are then of the dtype in which they are computed. There is one
        dimension more, so no value for each row is one for each class; a value for one
        row of one class, which would be, is a scalar.
        """
        n = self.logits.astype(compute_dtype(self.logits.dtype))
        arrays = [n, self.target]
        if self.weights is not None:
            arrays.append(jnp.broadcast_to(self.weights, n.shape))
        where = None
        if self.where is not None:
            # Mosaic compares numbers of 32 bits.
            where = (self.where.astype(jnp.int32) != 0)[None]
        is_one = n.shape == (1, 1)
        scalars = {
            name: x[0, 0] if is_one else x[:, 0][None]
            for name, x in self.scalars.items()
        }
        return [x[None] for x in arrays], where, scalars


@dataclasses.dataclass(frozen=True)
class Loss:
    """The losses of some rows, `[t, 1]`.

    Attributes:
      loss: maps logits, target logits and, where there are some, weights to losses.
    """

    loss: Callable[..., Array]

    def __call__(self, terms: Terms) -> Array:
        arrays, where, scalars = terms.arguments()
        return self.loss(*arrays, where=where, **scalars)[0][:, None]


@dataclasses.dataclass(frozen=True)
class GklTotals:
    """The logarithm of (sum_j w_j^gamma)^2 of some rows, `[t, 1]`.

    It is NaN for a row that does not count in GKL's normaliser.
    """

    def __call__(self, terms: Terms) -> Array:
        (n, m, *weights), where, scalars = terms.arguments()
        inputs = prepared(jax.lax.stop_gradient(n), m, where)
        w = inputs.weights(weights[0], where) if weights else None
        (gamma,) = inputs.per_example(gamma=scalars["gamma"])
        return log_squared_total(inputs, w, gamma)[0][:, None]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is known of a loss before there are numbers.

    Attributes:
      formula: maps the terms of some rows to `[t, 1]`.
      structure: of the terms.
    """

    formula: Callable[[Terms], Array]
    structure: Any

    def values(self, *leaves: Array) -> list[Array]:
        """A function of rows: the losses."""
        return [self._linearised(leaves)[0]]

    def gradients(self, wanted: Sequence[bool]) -> Callable[..., list[Array]]:
        """A function of rows: the losses, and the gradients of the wanted leaves.

        Its first argument is the cotangent of the losses, `[t, 1]`. Gradients have the
        dtype in which they may wait for another factor.
        """

        def function(cotangent: Array, *leaves: Array) -> list[Array]:
            found, pull = self._linearised(leaves)
            gradients = pull(cotangent.astype(found.dtype))
            return [found, *(gradients[i] for i, flag in enumerate(wanted) if flag)]

        return function

    def _linearised(self, leaves: Sequence[Array]) -> tuple[Array, Callable[..., Any]]:
        """The losses, and their transposed derivative for all leaves by number.

        Mosaic has no form for a function with derivatives of its own, and where these
        are formed there is none left. What is not used of them, compilers remove.
        """
        chosen = [
            i for i, x in enumerate(leaves) if jnp.issubdtype(x.dtype, jnp.floating)
        ]

        def losses(*some: Array) -> Array:
            given = list(leaves)
            for i, leaf in zip(chosen, some, strict=True):
                given[i] = leaf
            return self.formula(self.structure.unflatten(given))

        some = [leaves[i] for i in chosen]
        kept = [kept_dtype(x.dtype, compute_dtype(x.dtype)) for x in some]
        found, pull = jax.vjp(
            losses, *(x.astype(dtype) for x, dtype in zip(some, kept, strict=True))
        )
        return found, lambda cotangent: dict(zip(chosen, pull(cotangent), strict=True))
