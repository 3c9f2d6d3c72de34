"""A numerical check of Theorem 1: the gradients of DKL are those of KL.

`python -m ikl_jax.verify` prints the largest deviation between the two, on both inputs,
for many shapes, logit scales and dtypes. It exits with 1 if one is above tolerance.

Reference: Cui et al., https://arxiv.org/abs/2305.13948, 2024, Theorem 1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ikl_jax.divergences import dkl_loss
from ikl_jax.types import Array

__all__ = ["Deviation", "gradient_equivalence"]


class Deviation(NamedTuple):
    """The largest deviation of grad(DKL) from grad(KL), on each input.

    Relative to the largest entry of KL's gradient, or absolute if that is below 1.

    Attributes:
      logits: the deviation of the gradient with respect to the prediction n.
      target_logits: the deviation of the gradient with respect to the target m.
    """

    logits: float
    target_logits: float


def gradient_equivalence(
    shape: tuple[int, ...] = (8, 10),
    *,
    scale: float = 1.0,
    dtype: str = "float32",
    seed: int = 0,
) -> Deviation:
    """Compares `jax.grad` of `dkl_loss` and of `kl_divergence` on random logits.

    The two are differentiated independently. For KL, JAX differentiates the definition
    `sum p (log p - log q)` in float64, or in float32 if 64-bit types are disabled. For
    DKL, the gradient is that of the closed form, in `dtype`.

    Args:
      shape: of the logits, `[..., C]`.
      scale: standard deviation of the logits, > 0.
      dtype: "float64" (needs `jax_enable_x64`), "float32" or "bfloat16".
      seed: seed of the random logits.

    Returns:
      The largest deviation on each input.

    Examples:
      >>> import ikl_jax
      >>> max(ikl_jax.verify.gradient_equivalence((8, 10))) < 1e-5
      True
    """
    keys = jax.random.split(jax.random.key(seed))
    n, m = (scale * jax.random.normal(key, shape).astype(dtype) for key in keys)
    exact = jnp.result_type(float)  # float64 where that is enabled

    dkl = jax.grad(lambda n, m: dkl_loss(n, m).sum(), (0, 1))(n, m)
    kl = jax.grad(lambda n, m: _kl_by_definition(n, m).sum(), (0, 1))(
        n.astype(exact), m.astype(exact)
    )
    differences = []
    for ours, reference in zip(dkl, kl, strict=True):
        size = jnp.maximum(1.0, jnp.max(jnp.abs(reference)))
        deviation = jnp.max(jnp.abs(ours.astype(exact) - reference)) / size
        differences.append(float(deviation))
    return Deviation(*differences)


def _kl_by_definition(logits: Array, target_logits: Array) -> Array:
    log_q, log_p = jax.nn.log_softmax(logits), jax.nn.log_softmax(target_logits)
    return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)
