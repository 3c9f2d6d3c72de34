"""Passes over the chunks: the losses of all tokens, and the gradients of all inputs.

Reverse mode is written out here. A loss for each token computes the products of every
chunk again in the backward pass. A sum with given weights forms the gradients in the
forward pass, and the backward pass scales them. Gradients of what the chunks share are
added in float32 (float64 for float64).

Derivatives of the losses of a chunk with respect to its products are JAX's, of the
functions in `ikl_jax.divergences`.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import CustomVJPPrimal

from ikl_jax.divergences import weighted_sums
from ikl_jax.linear_head import varying
from ikl_jax.linear_head.layout import Layout
from ikl_jax.linear_head.products import Linear
from ikl_jax.types import Array, PyTree

Heads = tuple[Linear, ...]
Leaves = list[Array]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is known of a pass before there are numbers.

    Attributes:
      formula: maps the products `[t, V]` of the heads, and all else about these tokens,
        to their losses, `[t]`. Passes of one formula are compiled once.
      structure: of the formula's second argument, whose arrays are `leaves` below.
      is_row: whether each of these has a row for each token.
      layout: of the tokens.
      dtype: of the losses.
    """

    formula: Callable[[Sequence[Array], PyTree], Array]
    structure: Any
    is_row: tuple[bool, ...]
    layout: Layout
    dtype: jnp.dtype

    def chunk_of(
        self, heads: Heads, leaves: Leaves, chunk: Array
    ) -> tuple[Heads, Leaves]:
        """The rows of one chunk, and what all chunks share."""
        pick = functools.partial(self.layout.pick, chunk=chunk)
        parts = tuple(Linear(pick(head.hidden), head.kernel) for head in heads)
        return parts, [
            pick(leaf) if is_row else leaf
            for leaf, is_row in zip(leaves, self.is_row, strict=True)
        ]

    def losses(self, products: Sequence[Array], leaves: Leaves) -> Array:
        return self.formula(products, self.structure.unflatten(leaves))


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Wanted:
    """Which arrays need a gradient.

    Attributes:
      heads: for hidden states and kernel of each head.
      leaves: for each of the plan's leaves.
      dtypes: of all these arrays.
    """

    heads: tuple[tuple[bool, bool], ...]
    leaves: tuple[bool, ...]
    dtypes: tuple[jnp.dtype, ...]

    def of(self, arrays: Sequence[Any]) -> list[Any]:
        """Of the arrays of all heads and of all leaves, those that are wanted."""
        return [x for x, flag in zip(arrays, self._flags(), strict=True) if flag]

    def spread(self, gradients: Sequence[Array]) -> tuple[list, list]:
        """The wanted gradients in their places, None in the others."""
        remaining = iter(gradients)
        found = [
            next(remaining).astype(dtype) if flag else None
            for flag, dtype in zip(self._flags(), self.dtypes, strict=True)
        ]
        count = 2 * len(self.heads)
        return found[:count], found[count:]

    def _flags(self) -> tuple[bool, ...]:
        return *(flag for head in self.heads for flag in head), *self.leaves


@functools.partial(jax.jit, static_argnums=0)
def token_losses(plan: Plan, heads: Heads, leaves: Leaves) -> Array:
    """The losses of all tokens, `[T]`."""
    return _token_losses(plan, heads, leaves)


@functools.partial(jax.jit, static_argnums=0)
def weighted_sum(plan: Plan, heads: Heads, leaves: Leaves, weights: Array) -> Array:
    """The sum of `weights`, `[T]`, times the losses; gradients in the forward pass."""
    return _weighted_sum(plan, heads, leaves, weights)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _token_losses(plan: Plan, heads: Heads, leaves: Leaves) -> Array:
    layout = plan.layout

    def of_chunk(values: Array, chunk: Array) -> tuple[Array, None]:
        parts, of_leaves = plan.chunk_of(heads, leaves, chunk)
        found = plan.losses([part.product() for part in parts], of_leaves)
        return layout.put(values, found, chunk), None

    start = layout.empty((), plan.dtype)
    start = varying.over(varying.axes((heads, leaves)), start)
    values, _ = jax.lax.scan(of_chunk, start, layout.chunks)
    return layout.whole(values)


def _token_losses_forward(plan: Plan, heads: Any, leaves: Any) -> tuple[Array, Any]:
    wanted, heads, leaves = _opened(heads, leaves)
    return _token_losses(plan, heads, leaves), (wanted, heads, leaves)


def _token_losses_backward(plan: Plan, residuals: Any, cotangent: Array) -> Any:
    wanted, heads, leaves = residuals
    _, gradients = _gradients(plan, wanted, heads, leaves, cotangent)
    return _closed(wanted, gradients)


_token_losses.defvjp(_token_losses_forward, _token_losses_backward, symbolic_zeros=True)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _weighted_sum(plan: Plan, heads: Heads, leaves: Leaves, weights: Array) -> Array:
    return weighted_sums.weighted_sum(weights, _token_losses(plan, heads, leaves))


def _weighted_sum_forward(
    plan: Plan, heads: Any, leaves: Any, weights: Any
) -> tuple[Array, Any]:
    wanted, heads, leaves = _opened(heads, leaves)
    values, gradients = _gradients(plan, wanted, heads, leaves, weights.value)
    return weighted_sums.weighted_sum(weights.value, values), (
        wanted,
        gradients,
        values,
    )


def _weighted_sum_backward(plan: Plan, residuals: Any, cotangent: Array) -> Any:
    wanted, gradients, values = residuals
    scaled = [weighted_sums.times(gradient, cotangent) for gradient in gradients]
    return *_closed(wanted, scaled), values * cotangent


_weighted_sum.defvjp(_weighted_sum_forward, _weighted_sum_backward, symbolic_zeros=True)


def _opened(heads: Any, leaves: Any) -> tuple[Wanted, Heads, Leaves]:
    """What needs a gradient, and the arrays, of arguments with `symbolic_zeros`."""
    is_leaf = lambda x: isinstance(x, CustomVJPPrimal)
    flags = [(head.hidden.perturbed, head.kernel.perturbed) for head in heads]
    dtypes = [x.value.dtype for x in (*(x for head in heads for x in head), *leaves)]
    wanted = Wanted(
        tuple(flags), tuple(leaf.perturbed for leaf in leaves), tuple(dtypes)
    )
    values = jax.tree.map(lambda x: x.value, (heads, leaves), is_leaf=is_leaf)
    return wanted, *values


def _closed(wanted: Wanted, gradients: Leaves) -> tuple[Any, Any]:
    """The gradients as the backward pass returns them; None where none is wanted."""
    of_heads, of_leaves = wanted.spread(gradients)
    pairs = zip(of_heads[::2], of_heads[1::2], strict=True)
    return tuple(Linear(*pair) for pair in pairs), of_leaves


def _gradients(
    plan: Plan, wanted: Wanted, heads: Heads, leaves: Leaves, cotangent: Array
) -> tuple[Array, Leaves]:
    """The losses `[T]`, and the gradients of the wanted arrays, in one pass."""
    layout = plan.layout
    arrays = wanted.of([*(x for head in heads for x in head), *leaves])
    is_row = wanted.of([*(True, False) * len(heads), *plan.is_row])

    def of_chunk(state: Any, chunk: Array) -> tuple[Any, None]:
        by_loss = layout.pick_once(cotangent, chunk)
        parts, of_leaves = plan.chunk_of(heads, leaves, chunk)
        found, gradients = _chunk_gradients(plan, wanted, parts, of_leaves, by_loss)
        values, sums = state
        sums = [
            layout.put(total, gradient, chunk)
            if row
            else total + gradient.astype(total.dtype)
            for total, gradient, row in zip(sums, gradients, is_row, strict=True)
        ]
        return (layout.put(values, found, chunk), sums), None

    sums = [
        layout.empty(x.shape[1:], weighted_sums.kept_dtype(x.dtype, plan.dtype))
        if row
        else jnp.zeros(x.shape, weighted_sums.wider(x.dtype, plan.dtype))
        for x, row in zip(arrays, is_row, strict=True)
    ]
    names = varying.axes((heads, leaves, cotangent))
    state = varying.over(names, (layout.empty((), plan.dtype), sums))
    (values, sums), _ = jax.lax.scan(of_chunk, state, layout.chunks)
    return layout.whole(values), [
        layout.whole(total) if row else total
        for total, row in zip(sums, is_row, strict=True)
    ]


def _chunk_gradients(
    plan: Plan, wanted: Wanted, heads: Heads, leaves: Leaves, by_loss: Array
) -> tuple[Array, Leaves]:
    """The losses of a chunk, and the gradients of the wanted arrays.

    A token of which the cotangent is zero adds nothing to them, even if its hidden
    states are NaN.
    """
    is_live = by_loss != 0
    heads = tuple(head.without_nan(is_live) for head in heads)
    chosen = [number for number, flag in enumerate(wanted.leaves) if flag]

    def losses(products: Leaves, some: Leaves) -> Array:
        given = dict(zip(chosen, some, strict=True))
        return plan.losses(
            products, [given.get(number, x) for number, x in enumerate(leaves)]
        )

    found, pull = jax.vjp(
        losses, [head.product() for head in heads], [leaves[i] for i in chosen]
    )
    by_products, by_leaves = pull(by_loss.astype(found.dtype))
    gradients = []
    for head, by_product, (hidden, kernel) in zip(
        heads, by_products, wanted.heads, strict=True
    ):
        gradients += [head.by_hidden(by_product)] if hidden else []
        gradients += [head.by_kernel(by_product)] if kernel else []
    return found, gradients + by_leaves
