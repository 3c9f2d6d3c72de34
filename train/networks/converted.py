"""Files of converted weights, each with the name and the options of its model."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax import errors as flax_errors
from flax import traverse_util

from ikl_jax import models
from ikl_jax.models.architecture import Architecture
from train.base import files
from train.base.errors import UserError, explained
from train.networks import backbone

_DESCRIPTION = "description"

Normalize = tuple[tuple[float, ...], tuple[float, ...]]


@dataclasses.dataclass(frozen=True)
class Converted:
    """A model with weights.

    Attributes:
      model: the name for `ikl_jax.models.create`.
      num_classes: the number of logits; 0: the weights have no classifier.
      normalize: mean and deviation of each channel, or None for the architecture's own
        normalisation.
      variables: {"params": ..., "batch_stats": ...} of float32 arrays.
      class_names: in the order of the logits, or None if they were not given.
    """

    model: str
    num_classes: int
    normalize: Normalize | None
    variables: dict[str, Any]
    class_names: tuple[str, ...] | None = None

    @property
    def channels(self) -> int:
        """The number of channels of the images."""
        layer: Any = self.variables["params"]
        for name in getattr(self.create(), "input_layer", ()):
            layer = layer[name]
        return layer["kernel"].shape[-2]

    @property
    def image_side(self) -> int:
        """The side of images that the weights fit, in pixels."""
        network = self.create()
        if isinstance(network, Architecture):
            return network.image_side(self.variables["params"])
        return 32

    def normalized(self, normalize: Normalize | None) -> "Converted":
        """With another normalisation; a single number is for every channel."""
        if normalize is not None and {len(values) for values in normalize} == {1}:
            mean, deviation = (values * self.channels for values in normalize)
            normalize = mean, deviation
        return dataclasses.replace(self, normalize=normalize)

    def without_classifier(self) -> "Converted":
        """Without the parameters and the classes of the last layer."""
        variables = backbone.without_classifier(self.variables)
        return dataclasses.replace(
            self, num_classes=0, variables=variables, class_names=None
        )

    def create(self, **options: Any) -> nn.Module:
        """The module, with `options` and the normalisation of these weights.

        Raises:
          UserError: the model does not have an option, or cannot be created.
        """
        if self.normalize is not None:
            options = {"normalize": self.normalize, **options}
        with explained():
            return models.create(self.model, max(self.num_classes, 1), **options)


def check_finite(path: files.Path, weights: Any) -> None:
    """Raises `UserError` if a number in weights, read from `path`, is not finite."""
    for name, leaf in jax.tree.leaves_with_path(weights):
        if not np.isfinite(np.asarray(leaf, np.float32)).all():
            raise UserError(
                f"{path}: the weights are not finite: {jax.tree_util.keystr(name)} has "
                "NaN or infinity"
            )


@contextlib.contextmanager
def applied(
    path: files.Path, source: str, image_shape: tuple[int, int, int]
) -> Iterator[None]:
    """Explains, within, that the weights of `path` are for other images than these."""
    try:
        with explained():
            yield
    except flax_errors.ScopeParamShapeError as error:
        raise UserError(
            f"{path} has weights for images of another size or number of channels than "
            f"those of {source}, which are {image_shape}"
        ) from error


def write(path: files.Path, converted: Converted) -> None:
    """Writes one .npz file, whole or not at all.

    Raises:
      UserError: it cannot be written.
    """
    described = dataclasses.asdict(dataclasses.replace(converted, variables={}))
    del described["variables"]
    flat = traverse_util.flatten_dict(converted.variables, sep="/")
    arrays: dict[str, Any] = {name: np.asarray(leaf) for name, leaf in flat.items()}
    with files.whole(path) as file:
        np.savez(file, **{_DESCRIPTION: np.asarray(json.dumps(described))}, **arrays)


def read(path: files.Path) -> Converted:
    """Reads a file that `write` has written, of a network with a classifier.

    Raises:
      UserError: as `read_any`, or there is no classifier in it.
    """
    found = read_any(path)
    if not found.num_classes:
        raise UserError(
            f"{path} has no classifier (it was converted with --without_classifier): "
            "it is to start training from, as model.initial_weights"
        )
    return found


def read_any(path: files.Path) -> Converted:
    """Reads a file that `write` has written, with or without a classifier.

    Raises:
      UserError: the file cannot be read, is damaged, or was not written by
        `train.convert`.
    """
    with files.reading(path, " as weights that train.convert has written"):
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = dict(stored)
        described = json.loads(str(arrays.pop(_DESCRIPTION)))
        normalize = described["normalize"]
        if normalize is not None:
            normalize = (tuple(normalize[0]), tuple(normalize[1]))
        names = described.get("class_names")
        return Converted(
            described["model"],
            described["num_classes"],
            normalize,
            traverse_util.unflatten_dict(arrays, sep="/"),
            None if names is None else tuple(names),
        )
