"""What a loss depends on, and the loss of some tokens, from the products of heads.

The rows of logits go to the losses in `ikl_jax.divergences` as they are. A target of
cached top-k logits becomes a problem of k + 1 classes first (`top_classes`).
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp

from ikl_jax.divergences.inputs import prepared
from ikl_jax.divergences.raised_weights import log_squared_total
from ikl_jax.linear_head import top_classes
from ikl_jax.linear_head.heads import Grouped, TopK, TopKWithRest
from ikl_jax.linear_head.top_classes import TopClasses
from ikl_jax.types import Array


class Affine(NamedTuple):
    """What a head does to the product of hidden states and kernel; see `Head`."""

    scale: Array
    bias: Array | None
    soft_cap: Array | None

    def logits(self, product: Array) -> Array:
        x = self.scale.astype(product.dtype) * product
        if self.bias is not None:
            x = x + self.bias.astype(product.dtype)[None, :]
        if self.soft_cap is not None:
            cap = self.soft_cap.astype(product.dtype)
            x = cap * jnp.tanh(x / cap)
        return x


class Terms(NamedTuple):
    """All that a loss depends on, the products of heads excepted.

    Attributes:
      student: of the student's head.
      target: of the target's head, or the target's logits.
      weights: of the squared error: None, `[V]`, or those of groups.
      where: masks, each `[T or 1, V or 1]`, all of which must hold.
      scalars: arguments of the loss by name, each a scalar or `[T]`.
    """

    student: Affine
    target: Affine | Array | TopK | TopKWithRest
    weights: Array | Grouped | None
    where: tuple[Array, ...]
    scalars: dict[str, Array]


class Target(NamedTuple):
    """A target's side of a loss, `[t, classes]`.

    Attributes:
      m: the logits.
      weights: of the squared error, or None.
      where: the mask, or None.
      top: the classes that stand for the vocabulary; None: the vocabulary itself.
    """

    m: Array
    weights: Array | None
    where: Array | None
    top: TopClasses | None


def target_side(products: Sequence[Array], terms: Terms, num_classes: int) -> Target:
    """The target's side for the tokens of `terms`.

    Args:
      products: that of the target's head, `[t, V]`, if it is one, else nothing.
      terms: of these tokens.
      num_classes: V.
    """
    where = conjunction(terms.where)
    if isinstance(terms.target, TopK | TopKWithRest):
        top = top_classes.create(terms.target, num_classes, where)
        weights = weight_rows(terms.weights, (len(top.target), num_classes))
        if weights is not None:
            weights = top.weights(weights)
        return Target(top.target, weights, None, top)
    m = terms.target
    if isinstance(m, Affine):
        m = m.logits(products[0])
    return Target(m, weight_rows(terms.weights, m.shape), where, None)


@dataclasses.dataclass(frozen=True)
class Dense:
    """The losses of some tokens, by a loss of `ikl_jax.divergences` or like these.

    Attributes:
      loss: maps logits, target logits and, where there are some, weights to losses.
    """

    loss: Callable[..., Array]

    def __call__(self, products: Sequence[Array], terms: Terms) -> Array:
        n = terms.student.logits(products[0])
        target = target_side(products[1:], terms, n.shape[-1])
        if target.top is not None:
            n = target.top.student(n, terms.scalars.get("temperature"))
        arguments = [n, target.m]
        arguments += [] if target.weights is None else [target.weights]
        loss = self.loss
        if n.shape[0] == n.shape[1]:
            loss = _with_one_dimension_more(loss)
        return loss(*arguments, where=target.where, **terms.scalars)


def _with_one_dimension_more(loss: Callable[..., Array]) -> Callable[..., Array]:
    """The loss, of which a value for each token cannot be one for each class.

    A loss refuses such a value where there are as many tokens as classes. It is done in
    that case alone: with a leading dimension of one, XLA for CPU takes about ten times
    as long for some sums over the classes.
    """

    def of_one_batch(*logits: Array, where: Array | None, **scalars: Array) -> Array:
        arrays = [x[None] for x in logits]
        where = None if where is None else where[None]
        values = {name: x[None] if x.ndim else x for name, x in scalars.items()}
        return loss(*arrays, where=where, **values)[0]

    return of_one_batch


@dataclasses.dataclass(frozen=True)
class GklTotals:
    """What the mean is taken of that GKL's squared error is divided by.

    Its logarithm for each token, NaN for one that does not count.

    Attributes:
      num_classes: V.
      dtype: of the losses.
    """

    num_classes: int
    dtype: jnp.dtype

    def __call__(self, products: Sequence[Array], terms: Terms) -> Array:
        target = target_side(products, terms, self.num_classes)
        m = target.m.astype(self.dtype)
        inputs = prepared(m, target.m, target.where)
        weights = target.weights
        if weights is not None:
            weights = inputs.weights(weights, target.where)
        gamma = jnp.broadcast_to(terms.scalars["gamma"], inputs.batch)
        return log_squared_total(inputs, weights, gamma)


def weight_rows(
    weights: Array | Grouped | None, shape: tuple[int, ...]
) -> Array | None:
    """The weights of the tokens, `[t, V]`; NaN for a group that there is not."""
    if weights is None:
        return None
    if isinstance(weights, Grouped):
        return weights.table.at[weights.groups].get(mode="fill", fill_value=jnp.nan)
    return jnp.broadcast_to(weights, shape)


def conjunction(masks: Sequence[Array]) -> Array | None:
    """Where all masks hold, `[t or 1, V or 1]`; None: there is no mask."""
    found = None
    for mask in masks:
        found = mask if found is None else found & mask
    return found
