"""Decoupled Kullback-Leibler losses: KL, DKL, IKL and GKL.

All losses take `(logits, target_logits)`, the paper's `(n, m)`: the prediction
(student, adversarial) first, the target (teacher, natural) second, both of shape
`[..., C]`. They return one value per example, `[...]`, in the dtype of `logits`. They
compute in float32, or in float64 if the logits are float64. The caller reduces.

`alpha` multiplies the weighted squared error (wMSE), whose factor of a quarter is
folded in, and `beta` the soft cross-entropy, as in the paper; the authors' code
has them the other way round.

Reverse-mode derivatives of any order work. `jax.jvp` works for `kl_divergence` only:
the other losses have a `jax.custom_vjp`, which JAX does not combine with `jvp`.

Reference: Cui et al., "Decoupled Kullback-Leibler Divergence Loss",
https://arxiv.org/abs/2305.13948, 2024.
"""

from ikl_jax.divergences.decoupled import dkl_loss, gkl_loss, ikl_loss
from ikl_jax.divergences.terms import kl_divergence, soft_cross_entropy, weighted_mse

__all__ = [
    "dkl_loss",
    "gkl_loss",
    "ikl_loss",
    "kl_divergence",
    "soft_cross_entropy",
    "weighted_mse",
]
