"""Decoupled Kullback-Leibler losses, class means, attacks and models in JAX."""

from ikl_jax import attacks, awp, linear_head, models, verify
from ikl_jax.class_means import ClassMeans
from ikl_jax.distillation import dkd_loss, kd_loss
from ikl_jax.divergences import (
    dkl_loss,
    gkl_loss,
    ikl_loss,
    kl_divergence,
    soft_cross_entropy,
    weighted_mse,
)
from ikl_jax.version import __version__

__all__ = [
    "ClassMeans",
    "__version__",
    "attacks",
    "awp",
    "dkd_loss",
    "dkl_loss",
    "gkl_loss",
    "ikl_loss",
    "kd_loss",
    "kl_divergence",
    "linear_head",
    "models",
    "soft_cross_entropy",
    "verify",
    "weighted_mse",
]
