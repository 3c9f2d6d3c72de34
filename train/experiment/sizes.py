"""Whether a checkpoint is of arrays of other sizes, which is no damage."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from ikl_jax.types import PyTree

STATE = "state"  # the item of a checkpoint that holds the arrays


def difference(checkpoint: Any, template: PyTree) -> str:
    """Says how the first array with another shape differs; "" if there is none.

    Reads no array. Only arrays that are in both are compared.

    Args:
      checkpoint: the folder of one checkpoint.
      template: the arrays that are to be read.
    """
    try:
        found = ocp.StandardCheckpointHandler().metadata(checkpoint / STATE)
        shapes = {path: tuple(leaf.shape) for path, leaf in _leaves(found.tree)}
    except Exception:  # of any kind, for a damaged checkpoint
        return ""
    for path, leaf in _leaves(template):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            continue  # it is saved in another shape
        if (there := shapes.get(path, leaf.shape)) != leaf.shape:
            return f"{path} has the shape {there} there and {leaf.shape} here"
    return ""


def _leaves(tree: PyTree) -> Iterator[tuple[str, Any]]:
    """Each leaf with its path, which is the same for objects and what is saved."""
    for path, leaf in jax.tree.leaves_with_path(tree):
        names = (
            next(
                str(getattr(part, field))
                for field in ("key", "name", "idx")
                if hasattr(part, field)
            )
            for part in path
        )
        yield "/".join(names), leaf
