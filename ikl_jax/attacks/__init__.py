"""Attacks: search around an input for one that a model gets wrong."""

from ikl_jax.attacks import geometry, losses
from ikl_jax.attacks.apgd import Apgd, apgd
from ikl_jax.attacks.pgd import pgd

__all__ = ["Apgd", "apgd", "geometry", "losses", "pgd"]
