"""Layer-wise decay of the learning rate: the further from the output, the smaller.

A layer is a top-level module of the parameters, and layers count in the order in which
the model calls them. A module of vectors alone (BatchNorm) belongs to the layer before
it. The last layer, the classifier, has the whole learning rate, the one before it
`layer_decay` times that, and so on.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from ikl_jax.types import PyTree


def depths(model: Any, image_shape: tuple[int, int, int]) -> PyTree:
    """For each leaf of the parameters, how many layers lie between it and the output.

    Args:
      model: a Linen module, or what passes `init` on to one.
      image_shape: height, width and channels.
    """
    called: list[str] = []

    def note(method: Any, args: Any, kwargs: Any, context: Any) -> Any:
        path = context.module.path
        if path and path[0] not in called:
            called.append(path[0])
        return method(*args, **kwargs)

    def init(key: jax.Array) -> PyTree:
        return model.init(key, jnp.zeros((1, *image_shape)), train=False)["params"]

    with nn.intercept_methods(note):
        params = jax.eval_shape(init, jax.random.key(0))
    layers, layer = {}, -1
    for name in called:
        leaves = jax.tree.leaves(params.get(name, {}))
        layer += any(leaf.ndim > 1 for leaf in leaves)
        layers[name] = max(layer, 0)
    # A parameter of the model itself, in no module, belongs to the first layer.
    return {
        name: jax.tree.map(lambda _, name=name: layer - layers.get(name, 0), leaves)
        for name, leaves in params.items()
    }


def scale_by_depth(layer_decay: float, depths: PyTree) -> optax.GradientTransformation:
    """Multiplies each leaf's update by `layer_decay` to the power of its depth."""
    return optax.stateless(
        lambda updates, _: jax.tree.map(
            lambda update, depth: layer_decay**depth * update, updates, depths
        )
    )
