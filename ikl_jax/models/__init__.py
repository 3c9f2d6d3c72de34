"""Architectures by name, as Flax Linen modules, and conversion of torch weights."""

from ikl_jax.models.registry import create
from ikl_jax.models.torch_weights import from_torch, to_torch

__all__ = ["create", "from_torch", "to_torch"]
