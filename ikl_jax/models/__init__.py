"""Architectures as Flax Linen modules, by name."""

from ikl_jax.models.registry import create

__all__ = ["create"]
