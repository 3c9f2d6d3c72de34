"""The network of a run as others use it: with its classes alone."""

import copy
import dataclasses
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from ikl_jax import models
from ikl_jax.types import Array
from train.base.errors import UserError
from train.data.subsets import class_splits
from train.evaluation.target import Target
from train.networks import model
from train.recipes import recipe
from train.recipes.state import Weights


@dataclasses.dataclass(frozen=True)
class Released:
    """A network with weights, on the host.

    Attributes:
      module: takes images in [0, 1].
      variables: {"params": ..., "batch_stats": ...} of NumPy arrays.
      name: of the architecture.
      image_shape: height, width and channels of the images.
      num_classes: the number of logits.
      class_names: in the order of the logits; None: not known.
    """

    module: nn.Module
    variables: dict[str, Any]
    name: str
    image_shape: tuple[int, int, int]
    num_classes: int
    class_names: tuple[str, ...] | None

    @property
    def normalize(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and deviation of each channel that the module normalises by."""
        given = getattr(self.module, "normalize", None)
        if not given:
            return None
        mean, deviation = given
        return tuple(map(float, mean)), tuple(map(float, deviation))

    def logits(self, x: Array) -> Array:
        """Maps images `[B, H, W, K]` in [0, 1] to logits `[B, C]`."""
        weights = Weights(
            self.variables["params"], self.variables.get("batch_stats", {})
        )
        return recipe.evaluate_logits(self.module, weights, x)

    def torch_arrays(self) -> dict[str, np.ndarray] | None:
        """The weights by torch's names; None: the architecture has none there.

        A normalisation of the input is among them, as RobustBench stores it, so that
        nobody loads the weights without it by mistake.
        """
        try:
            arrays = models.to_torch(self.module, self.variables)
        except ValueError:
            return None
        arrays = {name: np.ascontiguousarray(each) for name, each in arrays.items()}
        if self.normalize is not None:
            names, shape = ("mu", "sigma"), (1, -1, 1, 1)
            if self.normalizes_in_torch:
                names, shape = ("mean", "std"), (-1, 1, 1)
            for name, values in zip(names, self.normalize, strict=True):
                arrays[name] = np.asarray(values, np.float32).reshape(shape)
        return arrays

    @property
    def normalizes_in_torch(self) -> bool:
        """Whether torch's module of that name always normalises."""
        return getattr(type(self.module), "normalize", None) is not None


def of_target(target: Target) -> Released:
    """The network of what `train.evaluate` evaluates, without padded classes.

    Raises:
      UserError: it is of a task that is not the last one.
    """
    config, data = copy.deepcopy(target.config), target.data
    seen = class_splits.seen(config.continual, data.num_classes)
    if seen is not None and len(seen) < data.num_classes:
        raise UserError(
            f"{target.name}: after task {config.continual.task} the network knows "
            f"{len(seen)} of its {data.num_classes} classes; export that of the last "
            "task"
        )
    config.model.classes_multiple_of = 1
    module = model.create(config, data.num_classes)
    params = jax.device_get(target.weights.params)
    path = model.classifier_layer(module)
    variables = {"params": _cut(params, path, data.num_classes)}
    if batch_stats := jax.device_get(target.weights.batch_stats):
        variables["batch_stats"] = batch_stats
    return Released(
        module, variables, config.model.name, data.image_shape, data.num_classes,
        data.class_names,
    )  # fmt: skip


def _cut(tree: Any, path: tuple[str, ...], columns: int) -> Any:
    """The tree with the first columns alone of the arrays at a path."""
    if not path:
        return {leaf: array[..., :columns] for leaf, array in tree.items()}
    first, *rest = path
    return {**tree, first: _cut(tree[first], tuple(rest), columns)}
