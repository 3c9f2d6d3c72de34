"""Decoupled Kullback-Leibler losses: KL, DKL, IKL and GKL.

All losses take `(logits, target_logits)`, the paper's `(n, m)`: the prediction
(student, adversarial) first, the target (teacher, natural) second, both of shape
`[..., C]`. They return one value per example, `[...]`, in the dtype of `logits`. They
compute in float32, or in float64 if the logits are float64. The caller reduces.

`alpha` multiplies the weighted squared error (wMSE), whose factor of a quarter is
folded in, and `beta` the soft cross-entropy, as in the paper; the authors' code
has them the other way round.

**What is not there takes no part.** `where` is boolean and broadcasts to `[..., C]`: a
class that it leaves out is as if its column were cut off, and an example that it leaves
out whole gives zero. A class at minus infinity in both logits is left out, too. A class
at minus infinity (or at the dtype's smallest number) in the target alone has weight
zero, and zero times anything is zero. A class at minus infinity in the prediction to
which the target gives weight makes the loss infinite; there the soft cross-entropy's
gradient is still q - p, and the wMSE has none.

A zero cotangent gives zero gradients, whatever an example holds. So
`jnp.where(keep, losses, 0.0)` keeps the NaN of examples that are left out away from the
gradients.

**Scalars.** `alpha`, `beta`, `gamma` and temperatures are scalars or `[...]`, one value
an example. A `[B]` temperature or gamma of logits `[C, C]` could be one value a class
and is refused. All but `gamma` receive gradient, a temperature that of all it divides.

Derivatives of any order work, in forward and in reverse mode.

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
