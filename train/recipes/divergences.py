"""The four divergences behind one signature: names and numbers become a function."""

from collections.abc import Callable

import ikl_jax
from ikl_jax.types import Array
from train.types import Config

Divergence = Callable[[Array, Array, Array | None], Array]


def create(name: str, config: Config) -> Divergence:
    """`(logits, target_logits, weights)` to one value per example.

    Args:
      name: kl | dkl | ikl | gkl.
      config: with `alpha`, `beta` and `gamma`; KL uses none of them, DKL no gamma and
        no weights (they are the sample's own), IKL no gamma.
    """
    return DIVERGENCES[name](config)


def uses_class_means(config: Config) -> bool:
    """Whether `config.loss` takes its weights from the class means."""
    return config.weights == "class_means" and config.name in ("ikl", "gkl")


def _kl(_: Config) -> Divergence:
    return lambda logits, target, weights: ikl_jax.kl_divergence(logits, target)


def _dkl(config: Config) -> Divergence:
    return lambda logits, target, weights: ikl_jax.dkl_loss(
        logits, target, alpha=config.alpha, beta=config.beta
    )


def _ikl(config: Config) -> Divergence:
    return lambda logits, target, weights: ikl_jax.ikl_loss(
        logits, target, weights, alpha=config.alpha, beta=config.beta
    )


def _gkl(config: Config) -> Divergence:
    return lambda logits, target, weights: ikl_jax.gkl_loss(
        logits,
        target,
        weights,
        alpha=config.alpha,
        beta=config.beta,
        gamma=config.gamma,
    )


DIVERGENCES: dict[str, Callable[[Config], Divergence]] = {
    "kl": _kl,
    "dkl": _dkl,
    "ikl": _ikl,
    "gkl": _gkl,
}
