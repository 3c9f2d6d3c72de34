"""Weights without their classifier, for training that draws a classifier of its own."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax import models
from ikl_jax.models.architecture import Architecture
from train.base.errors import explained

CHANNELS = 3  # of the images; the classifier does not depend on them
(_LAYER,) = Architecture.classifier_layer


def replaced(
    model: str, state_dict: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """A state dict with a classifier of zeros for one class in place of its own.

    Whatever the classifier's module holds is left out: it may be one layer or several.

    Args:
      model: a name for `models.create`, of a network with published torch weights.
      state_dict: torch's names to arrays.

    Returns:
      The state dict, and the names that it lacks now.

    Raises:
      UserError: the model is unknown.
    """
    zeros = _classifier_of_zeros(model)
    modules = tuple({f"{name.rpartition('.')[0]}." for name in zeros})
    left_out = [name for name in state_dict if name.startswith(modules)]
    kept = {n: array for n, array in state_dict.items() if n not in left_out}
    return kept | zeros, left_out


def without_classifier(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Flax variables without the parameters of the last layer."""
    params = {n: v for n, v in variables["params"].items() if n != _LAYER}
    return {**variables, "params": params}


def _classifier_of_zeros(model: str) -> dict[str, np.ndarray]:
    with explained():
        network = models.create(model, 1)
        assert isinstance(network, Architecture)  # as all with torch's names are
        side = network.image_side({})
        images = jax.ShapeDtypeStruct((1, side, side, CHANNELS), jnp.float32)
        shapes = jax.eval_shape(network.init, jax.random.key(0), images)
        zeros = jax.tree.map(
            lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes["params"][_LAYER]
        )
        return models.to_torch(model, {"params": {_LAYER: zeros}})
