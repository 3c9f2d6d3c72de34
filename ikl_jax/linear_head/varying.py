"""The axes of a mesh that JAX's types of arrays name.

`shard_map` keeps account of the axes over which an array varies. A mesh whose axes have
the type Explicit keeps account of those that divide it.
"""

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


def explicit_axes(x: Array) -> tuple[str, ...]:
    """The axes of type Explicit that the array is divided over."""
    sharding = jax.typeof(x).sharding
    named = set(jax.tree.leaves(tuple(sharding.spec)))
    return tuple(axis for axis in sharding.mesh.explicit_axes if axis in named)


def _axes(x: Array) -> frozenset:
    kind: Any = jax.typeof(x)
    if hasattr(kind, "manual_axis_type"):
        return kind.manual_axis_type.varying
    return getattr(kind, "vma", frozenset())
