"""Adversarial weight perturbation (AWP): moves the weights towards a higher loss.

Reference: Wu et al., "Adversarial Weight Perturbation Helps Robust Generalization",
https://arxiv.org/abs/2004.05884, 2020, Eqs. 8 and 9.
"""

import operator
from typing import Any

import jax
import jax.numpy as jnp

from ikl_jax import checks
from ikl_jax.types import Array, PyTree, Scalar, compute_dtype

# The axes along which the layers of one leaf are stacked.
Axes = tuple[int, ...]


def perturb(
    params: PyTree,
    grads: PyTree,
    gamma: Scalar,
    *,
    stacked_axes: PyTree = None,
    mask: PyTree = None,
) -> PyTree:
    """Moves each weight tensor by gamma times its own norm along its gradient.

    A leaf of two or more dimensions becomes `leaf + gamma * ||leaf|| * g / ||g||`, with
    Frobenius norms. Leaves of fewer dimensions (biases, BatchNorm) do not change, and
    neither does a leaf whose gradient is zero.

    Take the training gradient at the returned weights, and apply it to the original
    ones. So there is no proxy model, and nothing to restore:

        attacked = awp.perturb(params, jax.grad(loss)(params), gamma=0.005)
        grads = jax.grad(loss)(attacked)  # goes to the optimiser, with `params`

    Layers that `scan` or `vmap` has stacked are one leaf with an axis more, such as
    `[layers, in, out]`. By default such a leaf counts as one tensor: it has one norm
    for all its layers, and stacked biases `[layers, features]` move too. With
    `stacked_axes` each layer moves as if it were a leaf by itself.

    Args:
      params: a pytree of arrays.
      grads: the gradient of the loss to increase, of the same structure and shapes.
      gamma: relative size of the perturbation, >= 0; the paper takes 0.005 to 0.01.
      stacked_axes: the axis along which layers are stacked, a tuple of several axes, or
        a prefix of `params` with one of these for each subtree and None for subtrees
        without stacked layers, such as `{"blocks": 0, "head": None}`. None: no leaf is
        stacked.
      mask: a prefix of `params` with booleans: True where leaves move, whatever their
        dimensions, and False where they stay. Or a function of `params` that returns
        one. None: leaves move that have two or more dimensions besides stacked axes.

    Returns:
      A pytree like `params`, with the same dtypes. Gradients flow through it: use
      `jax.lax.stop_gradient` if they should not.

    Raises:
      ValueError: gamma is negative, the trees' structures or shapes differ, or a leaf
        lacks an axis of `stacked_axes`.
      TypeError: `stacked_axes` are not integers, or `mask` is not of booleans.

    Examples:
      >>> import jax.numpy as jnp, ikl_jax
      >>> params = {"kernel": jnp.full((1, 1), 2.0), "bias": jnp.ones(1)}
      >>> grads = {"kernel": jnp.full((1, 1), -7.0), "bias": jnp.ones(1)}
      >>> moved = ikl_jax.awp.perturb(params, grads, gamma=0.5)
      >>> print(moved["kernel"], moved["bias"])
      [[1.]] [1.]
    """
    checks.non_negative(gamma=gamma)
    if callable(mask):
        mask = mask(params)

    def move(path: tuple, leaf: Array, grad: Array, stacked: Any, moves: Any) -> Array:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        checks.same_shape(**{f"params {name}": leaf, f"grads {name}": grad})
        layers = _axes(name, leaf, stacked)
        axes = tuple(axis for axis in range(leaf.ndim) if axis not in layers)
        if not _moves(name, moves, default=len(axes) >= 2):
            return leaf
        dtype = compute_dtype(leaf.dtype)
        direction = _unit(grad.astype(dtype), axes)
        step = gamma * _norm(leaf.astype(dtype), axes) * direction
        return (leaf.astype(dtype) + step).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(
        move,
        params,
        grads,
        _spread("stacked_axes", stacked_axes, params),
        _spread("mask", mask, params),
    )


class _OfLeaf:
    """What a prefix says of one leaf; an object, so that JAX takes it for a leaf."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _spread(name: str, prefix: PyTree, params: PyTree) -> PyTree:
    """The prefix as a tree like `params`, with an `_OfLeaf` for each leaf."""
    is_axes = lambda node: (
        isinstance(node, tuple) and all(isinstance(axis, int) for axis in node)
    )
    is_leaf = lambda node: node is None or is_axes(node)
    leaves = jax.tree.map(_OfLeaf, prefix, is_leaf=is_leaf)
    try:
        return jax.tree.broadcast(leaves, params)
    except ValueError as error:
        raise ValueError(
            f"{name} must be a prefix of params, such as one value for each of its "
            f"entries: {error}"
        ) from None


def _axes(name: str, leaf: Array, stacked: _OfLeaf) -> Axes:
    """The stacked axes of a leaf, counted from 0."""
    given = stacked.value
    if given is None:
        return ()
    try:
        axes = [
            operator.index(a) for a in (given if type(given) is tuple else (given,))
        ]
    except TypeError:
        raise TypeError(
            f"stacked_axes must be integers, got {given!r} for params {name}"
        ) from None
    for axis in axes:
        if not -leaf.ndim <= axis < leaf.ndim:
            raise ValueError(
                f"stacked_axes must be axes of their leaves, got {axis} for params "
                f"{name} of shape {leaf.shape}: give None for leaves that are not "
                "stacked"
            )
    return tuple(axis % leaf.ndim for axis in axes)


def _moves(name: str, moves: _OfLeaf, *, default: bool) -> bool:
    if moves.value is None:
        return default
    if not isinstance(moves.value, bool):
        raise TypeError(f"mask must be of booleans, got {moves.value!r} for {name}")
    return moves.value


def _norm(array: Array, axes: Axes) -> Array:
    """The Frobenius norm over `axes`, which stay as axes of length 1."""
    # No ravel: it would gather an array that is sharded.
    squared = jnp.sum(jnp.square(array), axis=axes, keepdims=True)
    # The root has no derivative at zero; a norm of zero has none here, and no NaN.
    positive = squared > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)


def _unit(grad: Array, axes: Axes) -> Array:
    """grad / ||grad||, or zero for a zero gradient; squares cannot underflow."""
    largest = jnp.max(jnp.abs(grad), axis=axes, keepdims=True, initial=0.0)
    scaled = grad / jnp.where(largest > 0, largest, 1.0)
    norm = _norm(scaled, axes)
    return scaled / jnp.where(norm > 0, norm, 1.0)
