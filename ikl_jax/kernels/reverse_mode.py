"""Reverse mode: one pass over the rows for the losses, and one for the gradients.

A loss for each row reads the logits once in the forward pass and once, with the
cotangent, in the backward pass; nothing is kept between them. A sum with given weights
forms the gradients in the forward pass.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax

from ikl_jax.divergences import weighted_sums
from ikl_jax.kernels.forms import Form
from ikl_jax.kernels.rows import Plan
from ikl_jax.types import Array


@functools.partial(jax.jit, static_argnums=(0, 1))
def row_losses(form: Form, plan: Plan, leaves: list[Array]) -> Array:
    """The losses of all rows, `[B, 1]`."""
    return _row_losses(form, plan, leaves)


@functools.partial(jax.jit, static_argnums=(0, 1))
def weighted_sum(form: Form, plan: Plan, leaves: list[Array], weights: Array) -> Array:
    """The sum of `weights`, `[B, 1]`, times the losses."""
    return _weighted_sum(form, plan, leaves, weights)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _row_losses(form: Form, plan: Plan, leaves: list[Array]) -> Array:
    return form(plan.values, leaves)[0]


def _row_losses_forward(form: Form, plan: Plan, leaves: Any) -> tuple[Array, Any]:
    wanted, values = _opened(leaves)
    return _row_losses(form, plan, values), (wanted, values)


def _row_losses_backward(form: Form, plan: Plan, residuals: Any, cotangent: Array):
    wanted, leaves = residuals
    if not any(wanted.flags):
        return ([None] * len(wanted),)

    def gradients(*arrays: Array) -> list[Array]:
        found = plan.gradients(wanted.flags)(*arrays)[1:]
        return [x for x in _spread(wanted, found) if x is not None]

    return (_spread(wanted, form(gradients, [cotangent, *leaves])),)


_row_losses.defvjp(_row_losses_forward, _row_losses_backward, symbolic_zeros=True)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _weighted_sum(form: Form, plan: Plan, leaves: list[Array], weights: Array) -> Array:
    return weighted_sums.weighted_sum(weights, form(plan.values, leaves)[0])


def _weighted_sum_forward(
    form: Form, plan: Plan, leaves: Any, weights: Any
) -> tuple[Array, Any]:
    wanted, values = _opened(leaves)
    found, *gradients = form(plan.gradients(wanted.flags), [weights.value, *values])
    return weighted_sums.weighted_sum(weights.value, found), (wanted, gradients, found)


def _weighted_sum_backward(form: Form, plan: Plan, residuals: Any, cotangent: Array):
    wanted, gradients, found = residuals
    scaled = [weighted_sums.times(gradient, cotangent) for gradient in gradients]
    return _spread(wanted, scaled), found * cotangent


_weighted_sum.defvjp(_weighted_sum_forward, _weighted_sum_backward, symbolic_zeros=True)


@jax.tree_util.register_static
class _Wanted(tuple):
    """For each leaf, the dtype of its gradient; None: it needs none."""

    @property
    def flags(self) -> list[bool]:
        """Whether each leaf needs a gradient."""
        return [dtype is not None for dtype in self]


def _opened(leaves: Any) -> tuple[_Wanted, list[Array]]:
    wanted = _Wanted(x.value.dtype if x.perturbed else None for x in leaves)
    return wanted, [x.value for x in leaves]


def _spread(wanted: _Wanted, gradients: Sequence[Array]) -> list[Array | None]:
    """The gradients in their places and dtypes, None in the others."""
    remaining = iter(gradients)
    return [
        None if dtype is None else next(remaining).astype(dtype) for dtype in wanted
    ]
