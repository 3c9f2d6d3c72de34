"""Classes: whether two sides mean the same, and padding for the mesh's `model` axis.

Padded, the classifier and the class means get columns of no class. Their logits are
constant and far below all others: their probability is zero, they add nothing to any of
the losses, and no gradient reaches the weights behind them.
"""

import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp

from ikl_jax import ClassMeans
from ikl_jax.types import Array
from train.base.errors import UserError

PADDING_LOGIT = -1e4  # its softmax is zero in float32 beside any usual logit


def padded_width(num_classes: int, multiple_of: int) -> int:
    """The smallest multiple that holds all classes."""
    return -(-num_classes // multiple_of) * multiple_of


def is_class(shape: tuple[int, ...], num_classes: int) -> Array:
    """Whether an entry belongs to a class, for arrays whose last axis is the width."""
    column = jax.lax.broadcasted_iota(jnp.int32, shape, len(shape) - 1)
    return column < num_classes


def fitted(logits: Array, num_classes: int, width: int) -> Array:
    """Logits padded otherwise, or not at all, as those of `width` columns."""
    missing = ((0, 0), (0, width - num_classes))
    return jnp.pad(logits[:, :num_classes], missing, constant_values=PADDING_LOGIT)


class PaddedClasses(nn.Module):
    """A model with more logits than classes; its variables keep their names."""

    model: nn.Module
    num_classes: int

    def setup(self) -> None:
        nn.share_scope(self, self.model)

    def __call__(self, x: Array, *, train: bool = False) -> Array:
        logits = self.model(x, train=train)
        return jnp.where(
            is_class(logits.shape, self.num_classes), logits, PADDING_LOGIT
        )


def check_same(
    path: pathlib.Path,
    num_classes: int,
    names: tuple[str, ...] | None,
    source: str,
    source_num_classes: int,
    source_names: tuple[str, ...] | None,
) -> None:
    """Raises `UserError` for classes that are not the data's, as far as is known."""
    if num_classes != source_num_classes:
        raise UserError(
            f"{path} has {num_classes} classes, {source} has {source_num_classes}"
        )
    pairs = zip(names or (), source_names or (), strict=False)
    for label, (theirs, ours) in enumerate(pairs):
        if theirs != ours:
            raise UserError(
                f"class {label} is {theirs!r} in {path} and {ours!r} in {source}: the "
                "order of the classes must be the same"
            )


def uniform_means(num_classes: int, width: int) -> ClassMeans:
    """Class means at the beginning: uniform over the classes."""
    means = ClassMeans.create(width)
    uniform = jnp.where(is_class(means.mean.shape, num_classes), 1 / num_classes, 0.0)
    return means.replace(mean=uniform.astype(means.mean.dtype))
