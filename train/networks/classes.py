"""Classes: padding for the mesh's `model` axis, and whether two lists are the same.

With padding, the classifier and the class means have more columns than there are
classes. The logits of these columns are constant and far below all others, so their
probability is zero, they add nothing to any loss, and their weights get no gradient.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax import ClassMeans
from ikl_jax.types import Array
from train.base.errors import UserError
from train.base.files import Path

PADDING_LOGIT = -1e4  # its softmax is zero in float32 beside any usual logit


def padded_width(num_classes: int, multiple_of: int) -> int:
    """The smallest multiple of `multiple_of` that is at least `num_classes`."""
    return -(-num_classes // multiple_of) * multiple_of


def is_class(shape: tuple[int, ...], num_classes: int) -> Array:
    """Which entries of an array `[..., width]` belong to a class and not to padding."""
    column = jax.lax.broadcasted_iota(jnp.int32, shape, len(shape) - 1)
    return column < num_classes


def is_among(shape: tuple[int, ...], labels: Sequence[int]) -> Array:
    """Which entries of an array `[..., width]` belong to one of some classes."""
    mask = np.zeros(shape[-1], bool)
    mask[list(labels)] = True
    return jnp.broadcast_to(mask, shape)


def fitted(logits: Array, num_classes: int, width: int) -> Array:
    """Logits with `width` columns, from logits with another padding or none."""
    missing = ((0, 0), (0, width - num_classes))
    return jnp.pad(logits[:, :num_classes], missing, constant_values=PADDING_LOGIT)


class PaddedClasses(nn.Module):
    """A model with more logits than classes; its variables keep their names."""

    model: nn.Module
    num_classes: int

    def setup(self) -> None:
        nn.share_scope(self, self.model)

    def __call__(self, x: Array, *, train: bool = False, **options: Any) -> Array:
        logits = self.model(x, train=train, **options)
        return jnp.where(
            is_class(logits.shape, self.num_classes), logits, PADDING_LOGIT
        )


class SeenClasses(nn.Module):
    """A model whose logits of all other classes than `seen` are as of padding.

    Its variables keep their names, and have a column for every class.
    """

    model: nn.Module
    seen: tuple[int, ...]

    def setup(self) -> None:
        nn.share_scope(self, self.model)

    def __call__(self, x: Array, *, train: bool = False, **options: Any) -> Array:
        logits = self.model(x, train=train, **options)
        return jnp.where(is_among(logits.shape, self.seen), logits, PADDING_LOGIT)


def check_same(
    path: Path,
    num_classes: int,
    names: Sequence[str] | None,
    source: str,
    source_num_classes: int,
    source_names: Sequence[str] | None,
) -> None:
    """Raises `UserError` unless both sides have the same classes in the same order.

    Names are compared only where both sides have them.
    """
    if num_classes != source_num_classes:
        more = num_classes > source_num_classes
        hint = (
            f"; if it has no examples of the others, set data.num_classes={num_classes}"
        )
        raise UserError(
            f"{path} has {num_classes} classes, {source} has {source_num_classes}"
            f"{hint if more else ''}"
        )
    pairs = zip(names or (), source_names or (), strict=False)
    for label, (theirs, ours) in enumerate(pairs):
        if theirs != ours:
            raise UserError(
                f"class {label} is {theirs!r} in {path} and {ours!r} in {source}: the "
                "order of the classes must be the same"
            )


def uniform_means(among: Sequence[int], width: int) -> ClassMeans:
    """The class means that a run starts from: uniform over the classes `among`."""
    means = ClassMeans.create(width)
    uniform = jnp.where(is_among(means.mean.shape, among), 1 / len(among), 0.0)
    return means.replace(mean=uniform.astype(means.mean.dtype))
