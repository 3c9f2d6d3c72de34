"""The network as a program of its own, which runs wherever JAX does."""

import importlib.util

import jax
import jax.numpy as jnp

from train.base.errors import UserError
from train.release.network import Released

PLATFORMS = ("cpu", "tpu", "cuda")


def check() -> None:
    """Raises `UserError` if a library that writes programs is not installed."""
    if importlib.util.find_spec("flatbuffers") is None:
        raise UserError("train.export needs flatbuffers: pip install flatbuffers")


def exported(released: Released) -> bytes:
    """A serialised `jax.export.Exported`: images to logits, with the weights in it.

    It takes float32 images `[batch, H, W, K]` in [0, 1], for any batch size, and can be
    differentiated once, as attacks do.

    Raises:
      UserError: the network needs to know the batch size.
    """
    (batch,) = jax.export.symbolic_shape("batch")
    images = jax.ShapeDtypeStruct((batch, *released.image_shape), jnp.float32)
    export = jax.export.export(jax.jit(released.logits), platforms=PLATFORMS)
    try:
        return bytes(export(images).serialize(vjp_order=1))
    except (TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{released.name} cannot become a program for any batch size: {reason}"
        ) from error
