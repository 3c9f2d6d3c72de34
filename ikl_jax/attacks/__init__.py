"""Attacks: search around an input for one that a model gets wrong."""

from ikl_jax.attacks import geometry
from ikl_jax.attacks.pgd import pgd

__all__ = ["geometry", "pgd"]
