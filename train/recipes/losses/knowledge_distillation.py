"""KD and DKD, which stop the target and carry a factor of the temperature squared."""

import ikl_jax
from ikl_jax.types import Array
from train.recipes.losses.divergence import Coefficients, Divergence, Target


def _kd(logits: Array, target: Target, coefficients: Coefficients) -> Array:
    return ikl_jax.kd_loss(logits, target.logits, temperature=coefficients.temperature)


def _dkd(logits: Array, target: Target, coefficients: Coefficients) -> Array:
    """`alpha` weighs the label's class and `beta` the others, as in its paper."""
    return ikl_jax.dkd_loss(
        logits, target.logits, target.labels, alpha=coefficients.alpha,
        beta=coefficients.beta, temperature=coefficients.temperature,
    )  # fmt: skip


KD = Divergence("kd", _kd, moves_target=False)
DKD = Divergence("dkd", _dkd, moves_target=False)
