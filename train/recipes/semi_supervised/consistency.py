"""How much the prediction of the strong view differs from its target.

`loss.name` may name any divergence, and three that only make sense with a target that
the model itself gives: `ce`, `soft_ce` and `mse`.
"""

import jax
import jax.numpy as jnp
import optax

import ikl_jax
from ikl_jax.types import Array
from train.base.config import Config
from train.networks import classes
from train.recipes.losses import DIVERGENCES, Coefficients, Divergence, Target


def _cross_entropy(logits: Array, target: Target, coefficients: Coefficients) -> Array:
    """-log of the probability of the target's most likely class."""
    return optax.losses.softmax_cross_entropy_with_integer_labels(
        logits / coefficients.temperature, target.labels
    )


def _soft_cross_entropy(
    logits: Array, target: Target, coefficients: Coefficients
) -> Array:
    return ikl_jax.soft_cross_entropy(
        logits, target.logits, temperature=coefficients.temperature
    )


def _mean_squared_error(
    logits: Array, target: Target, coefficients: Coefficients
) -> Array:
    """Of the probabilities, the mean over the classes, as Mean Teacher has it."""
    predicted, wanted = (
        jax.nn.softmax(values / coefficients.temperature)
        for values in (logits, target.logits)
    )
    is_class = logits > classes.PADDING_LOGIT / 2
    squared = jnp.where(is_class, jnp.square(predicted - wanted), 0.0)
    return jnp.sum(squared, axis=-1) / jnp.sum(is_class, axis=-1)


_OWN = (
    Divergence("ce", _cross_entropy, moves_target=False),
    Divergence("soft_ce", _soft_cross_entropy, moves_target=False),
    Divergence("mse", _mean_squared_error),
)
# Names to consistencies: `loss.name` in the semi-supervised recipes.
CONSISTENCIES: dict[str, Divergence] = {
    **{divergence.name: divergence for divergence in _OWN},
    **DIVERGENCES,
}


def losses(config: Config, logits: Array, target: Target) -> Array:
    """The consistency that `loss.name` names, `[N]`.

    The target's softmax has the temperature `unlabelled.target_temperature`, and the
    prediction's has `loss.temperature`. The squared error of IKL and GKL is on raw
    logits.

    Args:
      config: of the run.
      logits: `[N, C]`, of the strong views.
      target: with its pseudo-labels as labels, and stopped where it is to be.
    """
    loss, wanted = config.loss, config.unlabelled.target_temperature
    consistency = CONSISTENCIES[loss.name]
    coefficients = Coefficients.of(loss, loss.temperature)
    if consistency.takes_target_temperature:
        coefficients = coefficients._replace(target_temperature=wanted)
    else:
        target = target._replace(logits=target.logits * (loss.temperature / wanted))
    return consistency.loss(logits, target, coefficients)
