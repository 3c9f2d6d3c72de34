"""Converts weights between torch's names and layouts and those of Flax."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import traverse_util

from ikl_jax.models import registry
from ikl_jax.models.architecture import Architecture
from ikl_jax.types import Array

# (collection, Flax's name): torch's name.
_LEAVES = {
    ("params", "kernel"): "weight",
    ("params", "scale"): "weight",
    ("params", "bias"): "bias",
    ("params", "cls_token"): "cls_token",
    ("params", "pos_embed"): "pos_embed",
    ("batch_stats", "mean"): "running_mean",
    ("batch_stats", "var"): "running_var",
}
# For each rank, the transposition from torch's layout to Flax's, and back.
_TO_FLAX = {1: (0,), 2: (1, 0), 3: (0, 1, 2), 4: (2, 3, 1, 0)}
_TO_TORCH = {1: (0,), 2: (1, 0), 3: (0, 1, 2), 4: (3, 2, 0, 1)}
_IGNORED = "num_batches_tracked"

ParameterPath = tuple[str, ...]


def from_torch(
    model: str | nn.Module,
    state_dict: Mapping[str, Any],
    *,
    image_size: int | None = None,
) -> dict[str, Any]:
    """Converts a torch state dict to Flax variables.

    Args:
      model: a name that `create` knows, or a module. The number of input channels is
        read from `state_dict`; so is the number of classes if `model` is a name.
      state_dict: {torch's name: floating-point array}, with arrays that NumPy can
        convert. Entries called "num_batches_tracked" are ignored.
      image_size: side of the images, in pixels, for a vision transformer: if it has
        positions for images of another size, they are interpolated, with a warning.
        None: they stay as they are.

    Returns:
      {"params": ..., "batch_stats": ...}, with float32 arrays; without "batch_stats"
      for an architecture without BatchNorm.

    Raises:
      ValueError: parameters are missing, unexpected, wrongly shaped or not of a
        floating-point type (the error names all of them), the model is unknown, or
        `image_size` is not one that it can have.
    """
    given = {name: a for name, a in state_dict.items() if not name.endswith(_IGNORED)}
    network, label = _architecture(model, given)
    expected = _expected(network, given)
    if found := _faults(expected, given):
        raise ValueError(f"state_dict does not fit {label}; {'; '.join(found)}")
    if image_size is not None:
        given = dict(network.with_image_size(given, image_size))
    flat = {}
    for name, (path, _) in expected.items():
        array = jnp.asarray(given[name], jnp.float32)
        flat[path] = array.transpose(_TO_FLAX[array.ndim])
    return traverse_util.unflatten_dict(flat)


def to_torch(model: str | nn.Module, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Converts Flax variables to a torch state dict, without "num_batches_tracked".

    Args:
      model: a name that `create` knows, or a module.
      variables: {"params": ..., "batch_stats": ...} of that model.

    Returns:
      {torch's name: NumPy array}. `from_torch` converts it to the same variables.

    Raises:
      ValueError: an entry is neither a parameter nor a statistic, or the model is
        unknown.
    """
    network, _ = _architecture(model, {})
    arrays = {}
    for path, leaf in _flat(variables).items():
        if (path[0], path[-1]) not in _LEAVES:
            raise ValueError(
                "variables must hold params (kernel, scale, bias, cls_token, "
                "pos_embed) and batch_stats (mean, var) only, got "
                f"{'/'.join(path)}"
            )
        array = jax.device_get(leaf)
        arrays[_torch_name(network, path)] = array.transpose(_TO_TORCH[array.ndim])
    return arrays


def torch_names(model: str | nn.Module) -> set[str]:
    """The torch names of a model's parameters and statistics.

    Raises:
      ValueError: the model is unknown or has no published torch weights.
    """
    network, _ = _architecture(model, {})
    return set(_expected(network, {}))


def torch_names_of_others(model: str | nn.Module) -> tuple[str, ...]:
    """torch's modules that only other networks with the same layers have.

    Raises:
      ValueError: the model is unknown or has no published torch weights.
    """
    network, _ = _architecture(model, {})
    return network.torch_names_of_others


def faults(model: str | nn.Module, state_dict: Mapping[str, Any]) -> list[str]:
    """Why `from_torch` refuses a state dict; an empty list if it does not.

    Raises:
      ValueError: the model is unknown or has no published torch weights.
    """
    network, _ = _architecture(model, state_dict)
    return _faults(_expected(network, state_dict), state_dict)


class _Parameter(NamedTuple):
    path: ParameterPath
    shape: tuple[int, ...]


def _architecture(
    model: str | nn.Module, given: Mapping[str, Any]
) -> tuple[Architecture, str]:
    """The module and its name for errors.

    If `model` is a name, the number of classes is that of the `given` weights.
    """
    label = model if isinstance(model, str) else type(model).__name__
    network = registry.create(model) if isinstance(model, str) else model
    if not isinstance(network, Architecture):
        raise ValueError(f"model must have published torch weights, got {label!r}")
    bias = given.get(_torch_name(network, ("params", "classifier", "bias")))
    if isinstance(model, str) and bias is not None and len(bias.shape) == 1:
        network = network.clone(num_classes=max(1, bias.shape[0]))
    return network, label


def _expected(network: Architecture, given: Mapping[str, Any]) -> dict[str, _Parameter]:
    """The parameters that the weights must have, as {torch's name: parameter}."""
    kernel = given.get(_torch_name(network, ("params", *network.input_layer, "kernel")))
    channels = 3
    if kernel is not None and len(kernel.shape) == 4:
        channels = max(1, kernel.shape[1])
    side = network.image_side(given)
    images = jax.ShapeDtypeStruct((1, side, side, channels), jnp.float32)
    # Normalisation has no parameters, and may be made for another number of channels.
    plain = network.clone(normalize=None)
    shapes = jax.eval_shape(plain.init, jax.random.key(0), images)
    expected = {}
    for path, leaf in _flat(shapes).items():
        shape = tuple(leaf.shape[axis] for axis in _TO_TORCH[leaf.ndim])
        expected[_torch_name(network, path)] = _Parameter(path, shape)
    return expected


def _flat(variables: Any) -> dict[ParameterPath, Any]:
    return dict(traverse_util.flatten_dict(variables))


def _torch_name(network: Architecture, path: ParameterPath) -> str:
    collection, *layers, leaf = path
    parts = [_translated(network, layer) for layer in layers]
    return ".".join([*parts, _LEAVES[collection, leaf]])


def _translated(network: Architecture, layer: str) -> str:
    for pattern, replacement in network.torch_names:
        match = re.fullmatch(pattern, layer)
        if match:
            return match.expand(replacement)
    return layer


def _faults(
    expected: Mapping[str, _Parameter], given: Mapping[str, Array]
) -> list[str]:
    """What does not fit, with all names."""
    common = sorted(name for name in expected if name in given)
    found = {
        "missing": sorted(name for name in expected if name not in given),
        "unexpected": sorted(name for name in given if name not in expected),
        "wrongly shaped": [
            f"{name} {tuple(given[name].shape)} instead of {expected[name].shape}"
            for name in common
            if tuple(given[name].shape) != expected[name].shape
        ],
        "not floating point": [
            f"{name} ({given[name].dtype})"
            for name in common
            if not jnp.issubdtype(given[name].dtype, jnp.floating)
        ],
    }
    return [f"{fault}: {', '.join(names)}" for fault, names in found.items() if names]
