"""IKL and GKL, whose squared error reaches both logits and takes chosen weights."""

import jax.numpy as jnp

import ikl_jax
from ikl_jax.types import Array
from train.recipes.losses.divergence import Coefficients, Divergence, Target


def _ikl(logits: Array, target: Target, coefficients: Coefficients) -> Array:
    return ikl_jax.ikl_loss(
        logits, target.logits, target.weights, alpha=coefficients.alpha,
        beta=coefficients.beta, temperature=coefficients.temperature,
        target_temperature=coefficients.target_temperature,
    )  # fmt: skip


def _gkl(logits: Array, target: Target, coefficients: Coefficients) -> Array:
    """For a part of a batch: IKL with weights that make it a share of the whole's GKL.

    The weights enter the squared error twice, so the squared error is divided by the
    square of the scale.
    """
    if target.weights is not None and target.scale is not None:
        weights = jnp.power(target.weights, coefficients.gamma) / target.scale
        return _ikl(logits, target._replace(weights=weights), coefficients)
    return ikl_jax.gkl_loss(
        logits, target.logits, target.weights, alpha=coefficients.alpha,
        beta=coefficients.beta, gamma=coefficients.gamma,
        temperature=coefficients.temperature,
        target_temperature=coefficients.target_temperature,
    )  # fmt: skip


def _root_mean_square_total(weights: Array, gamma: float) -> Array:
    """The root of the batch's mean of (sum_j w_j^gamma)^2, by which GKL normalises."""
    total = jnp.sum(jnp.power(weights, gamma), axis=-1)
    largest = jnp.max(total)
    largest = jnp.where(largest > 0, largest, 1.0)  # all weights are zero: stay zero
    # The squares of small totals would be rounded to zero.
    size = jnp.sqrt(jnp.mean(jnp.square(total / largest)))
    return largest * jnp.where(size > 0, size, 1.0)


IKL = Divergence("ikl", _ikl, weights="chosen", takes_target_temperature=True)
GKL = Divergence(
    "gkl",
    _gkl,
    weights="chosen",
    raises_weights=True,
    batch_scale=_root_mean_square_total,
    takes_target_temperature=True,
)
