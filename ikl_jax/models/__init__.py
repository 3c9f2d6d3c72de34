"""Architectures as Flax Linen modules, by name, and their weights from torch."""

from ikl_jax.models.registry import create
from ikl_jax.models.torch_weights import from_torch, to_torch

__all__ = ["create", "from_torch", "to_torch"]
