"""The axes of a mesh over which arrays vary, which `shard_map` keeps account of."""

from typing import Any

import jax

from ikl_jax.types import Array, PyTree


def axes(tree: PyTree) -> frozenset:
    """All axes over which an array of the tree varies; none outside of `shard_map`."""
    found = [_axes(x) for x in jax.tree.leaves(tree)]
    return frozenset().union(*found)


def over(names: frozenset, tree: PyTree) -> PyTree:
    """The arrays of the tree, all of them varying over these axes.

    The gradient of an array that did not is summed over the axes.
    """

    def vary(x: Array) -> Array:
        missing = tuple(sorted(names - _axes(x)))
        return jax.lax.pcast(x, missing, to="varying") if missing else x

    return jax.tree.map(vary, tree)


def _axes(x: Array) -> frozenset:
    kind: Any = jax.typeof(x)
    if hasattr(kind, "manual_axis_type"):
        return kind.manual_axis_type.varying
    return getattr(kind, "vma", frozenset())
