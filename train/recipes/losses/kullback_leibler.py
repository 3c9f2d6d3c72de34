"""KL, and the decoupled DKL with the sample's own weights or with class means."""

import jax

import ikl_jax
from ikl_jax.types import Array
from train.recipes.losses.divergence import Coefficients, Divergence, Target


def _kl(logits: Array, target: Target, coefficients: Coefficients) -> Array:
    return ikl_jax.kl_divergence(
        logits, target.logits, temperature=coefficients.temperature
    )


def _dkl(logits: Array, target: Target, coefficients: Coefficients) -> Array:
    """Its squared error stops `logits`, which the soft cross-entropy alone moves."""
    temperature = coefficients.temperature
    return ikl_jax.dkl_loss(
        logits / temperature, target.logits / temperature,
        alpha=coefficients.alpha, beta=coefficients.beta,
    )  # fmt: skip


def _class_wise_dkl(logits: Array, target: Target, coefficients: Coefficients) -> Array:
    """DKL with the class means as weights."""
    if target.weights is None:
        raise ValueError("class_wise_dkl needs class means as weights, got None")
    logits, target_logits = (
        values / coefficients.temperature for values in (logits, target.logits)
    )
    squared = ikl_jax.ikl_loss(
        jax.lax.stop_gradient(logits), target_logits, target.weights,
        alpha=coefficients.alpha, beta=0.0,
    )  # fmt: skip
    soft = ikl_jax.soft_cross_entropy(logits, target_logits)
    return squared + coefficients.beta * soft


KL = Divergence("kl", _kl)
DKL = Divergence("dkl", _dkl)
CLASS_WISE_DKL = Divergence("class_wise_dkl", _class_wise_dkl, weights="class_means")
