"""The model that a config names."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ikl_jax import models
from train.base import fields
from train.base.config import Config, ModelConfig
from train.base.errors import UserError, explained
from train.data.subsets import class_splits
from train.networks import classes

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
# Options of `config.model`: the default, and what an architecture needs for another.
OPTIONS = {
    "bn_groups": (1, "BatchNorm"),
    "bn_momentum": (0.1, "BatchNorm"),
    "drop_path": (-1.0, "stochastic depth"),
    "normalize": ((), "normalisation"),
    "remat": (False, "blocks to recompute"),
}


def check_config(model: ModelConfig) -> None:
    """Raises `UserError` for values that no architecture can use."""
    fields.one_of("model", model, dtype=DTYPES)
    fields.positive("model", model, "bn_groups", "classes_multiple_of")
    fields.shares("model", model, "bn_momentum")
    if model.drop_path != OPTIONS["drop_path"][0] and not 0 <= model.drop_path < 1:
        raise UserError(
            "model.drop_path must lie in [0, 1), or be -1 for the architecture's own, "
            f"got {model.drop_path:g}"
        )
    if model.normalize:
        _check_normalize(model.normalize)


def _check_normalize(normalize: Sequence[Sequence[float]]) -> None:
    """Whether it has a mean and a deviation for each of the same channels."""
    lengths = {len(numbers) for numbers in normalize}
    if len(normalize) != 2 or len(lengths) != 1 or 0 in lengths:
        raise UserError(
            "model.normalize must be empty, or the means and the deviations of the "
            f"channels: ((0.5, 0.5, 0.5), (0.2, 0.2, 0.2)), got {normalize}"
        )
    if not min(normalize[1]) > 0:
        raise UserError(
            f"model.normalize: deviations must be > 0, got {tuple(normalize[1])}"
        )


def create(config: Config, num_classes: int) -> nn.Module:
    """The Linen module that `config.model` names, with padded classes.

    That of a task knows the classes that were seen so far.

    Its groups of BatchNorm are those of one part of an accumulated batch.

    Raises:
      UserError: there is no such model, it lacks the layers that an option of
        `config.model` is about, or its groups of BatchNorm cannot be divided evenly
        between the parts.
    """
    name, dtype = config.model.name, DTYPES[config.model.dtype]
    width = classes.padded_width(num_classes, config.model.classes_multiple_of)
    with explained():
        model = models.create(name, width, dtype=dtype)
    options: dict[str, Any] = {}
    for option, (default, missing) in OPTIONS.items():
        value = getattr(config.model, option)
        if value in (default, []):  # what JSON makes of an empty tuple
            continue
        if not hasattr(model, option):
            raise UserError(
                f"model.{option} must be {default} for {name}, which has no {missing}, "
                f"got {value}"
            )
        options[option] = value
    if hasattr(model, "bn_groups"):
        options["bn_groups"] = _groups_of_a_part(config)
    model = model.clone(**options)
    seen = class_splits.seen(config.continual, num_classes)
    if seen is not None and len(seen) < width:
        return classes.SeenClasses(model, seen)
    return classes.PaddedClasses(model, num_classes) if width > num_classes else model


def bn_groups(model: Any) -> int | None:
    """The groups of BatchNorm of a model or of what it wraps; None: it has none."""
    return getattr(_unwrapped(model), "bn_groups", None)


def draws_in_training(model: Any) -> bool:
    """Whether a model, or what it wraps, needs `keys` of the examples in training."""
    return bool(getattr(_unwrapped(model), "drop_path", 0.0))


def classifier_layer(model: Any) -> tuple[str, ...]:
    """The path of a model's last layer within its parameters, as the model declares it.

    Raises:
      UserError: the model declares none.
    """
    model = _unwrapped(model)
    path = getattr(model, "classifier_layer", None)
    if path is None:
        raise UserError(
            f"{type(model).__name__} must name the path of its last layer within its "
            "parameters: classifier_layer = ('classifier',), for example"
        )
    return path


def _unwrapped(model: Any) -> Any:
    while (wrapped := getattr(model, "model", None)) is not None:
        model = wrapped
    return model


def check(
    model: nn.Module,
    config: Config,
    image_shape: tuple[int, int, int],
    batch_sizes: Iterable[int],
) -> None:
    """Traces the model of `create` on each size of part, to find errors before a run.

    Raises:
      UserError: BatchNorm's groups do not divide a batch, or images are too small.
    """
    channels, given = image_shape[-1], config.model.normalize
    if given and len(given[0]) != channels:
        raise UserError(
            f"model.normalize must have {channels} means and deviations, one for each "
            f"channel of the images, got {len(given[0])}"
        )
    forward = partial(model.init_with_output, jax.random.key(0), train=True)
    groups = config.model.bn_groups
    for size in set(batch_sizes):
        if size % groups:
            raise UserError(
                f"model.bn_groups must divide the batch of {size}, got {groups}"
            )
        part = (size // config.accumulate, *image_shape)
        images = jax.ShapeDtypeStruct(part, jnp.float32)
        with explained():
            jax.eval_shape(forward, images)


def _groups_of_a_part(config: Config) -> int:
    groups, parts = config.model.bn_groups, config.accumulate
    if groups % parts:
        raise UserError(
            f"model.bn_groups must be a multiple of accumulate={parts}, got {groups}: "
            "BatchNorm takes its statistics within a part, so parts are made of groups"
        )
    return groups // parts
