"""Which leaves of the parameters are weights of a layer."""

from typing import Any

import jax

from ikl_jax.types import PyTree

# A vision transformer's own parameters: timm and USB spare them from weight decay, and
# the published AWP moves only what torch calls a weight.
_EMBEDDINGS = ("cls_token", "pos_embed")


def matrices(params: PyTree) -> PyTree:
    """For each leaf, whether it has two or more dimensions and is no embedding.

    So biases, scales of normalisations, class tokens and positions are left out.
    """

    def is_matrix(path: tuple[Any, ...], leaf: jax.Array) -> bool:
        name = jax.tree_util.keystr(path[-1:], simple=True)
        return leaf.ndim > 1 and name not in _EMBEDDINGS

    return jax.tree.map_with_path(is_matrix, params)
