"""Attacks: search around an input for one that a model gets wrong."""

from ikl_jax.attacks.apgd import apgd
from ikl_jax.attacks.common import geometry, losses
from ikl_jax.attacks.ensemble.autoattack import autoattack
from ikl_jax.attacks.ensemble.distances import distances
from ikl_jax.attacks.fab import fab
from ikl_jax.attacks.pgd import pgd
from ikl_jax.attacks.square import square

__all__ = [
    "apgd",
    "autoattack",
    "distances",
    "fab",
    "geometry",
    "losses",
    "pgd",
    "square",
]
