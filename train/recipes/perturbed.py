"""The gradient at weights that adversarial weight perturbation (AWP) has moved."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

import ikl_jax
from ikl_jax.attacks.common import loops
from ikl_jax.types import Array, PyTree, Scalar
from train.recipes.accumulation import Outcome
from train.recipes.optim import leaves


class Gradient(NamedTuple):
    """A gradient with respect to `params`, there.

    Attributes:
      params: the weights.
      grads: like `params`.
      outcome: what else the loss returned.
    """

    params: PyTree
    grads: PyTree
    outcome: Outcome


def gradient(
    gradient_at: Callable[[PyTree, Array], tuple[PyTree, Outcome]],
    params: PyTree,
    gamma: Scalar,
) -> Gradient:
    """The gradient at the weights to which the gradient at `params` moves them.

    The two gradients are a loop of two rounds where compilers are given loops. So the
    program holds the network's passes once, and TPU's compiler, which takes a second or
    two for each convolution, is done sooner.

    Args:
      gradient_at: weights and the number of the gradient, 0 for the one that moves them
        and 1 for the one that is returned, to the gradient and the outcome.
      params: the weights.
      gamma: relative size of the perturbation, >= 0.
    """
    gradient_at = jax.jit(gradient_at)  # traced once, for its shapes and both forms

    def following(before: Gradient, number: Array) -> Gradient:
        # The first number, 0, leaves the weights where they are.
        moved = ikl_jax.awp.perturb(
            params, before.grads, number * gamma, mask=leaves.matrices
        )
        return Gradient(moved, *gradient_at(moved, number))

    shapes = jax.eval_shape(gradient_at, params, jnp.asarray(0))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return loops.repeat(following, Gradient(params, *zeros), 2)
