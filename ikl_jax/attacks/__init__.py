"""Attacks: search around an input for one that a model gets wrong."""

from ikl_jax.attacks import geometry
from ikl_jax.attacks.pgd import pgd
from ikl_jax.attacks.square import square

__all__ = ["geometry", "pgd", "square"]
