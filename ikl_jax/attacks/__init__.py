"""Attacks: search around an input for one that a model gets wrong."""

from ikl_jax.attacks import geometry
from ikl_jax.attacks.fab import fab
from ikl_jax.attacks.pgd import pgd

__all__ = ["fab", "geometry", "pgd"]
