"""The divergences behind one signature: names and numbers become a function."""

from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp

import ikl_jax
from ikl_jax.types import Array
from train.base.config import Config


class Divergence(Protocol):
    """Logits, their target and the wMSE's weights to one value per example.

    `scale` is None for a whole batch, and `scale` of that batch for a part of it.
    """

    def __call__(
        self,
        logits: Array,
        target: Array,
        weights: Array | None,
        scale: Array | None = None,
        /,
    ) -> Array: ...


def create(name: str, config: Config) -> Divergence:
    """The divergence of that name.

    Args:
      name: kl | dkl | class_wise_dkl | ikl | gkl.
      config: with `alpha`, `beta` and `gamma`; KL uses none of them, DKL no gamma and
        no weights (they are the sample's own), IKL no gamma.
    """
    return DIVERGENCES[name](config)


def scale(name: str, config: Config, weights: Array | None) -> Array | None:
    """What GKL divides the weights of a part of a batch by; `weights` of all of it.

    None for the others, where an example's loss does not depend on its batch. GKL's
    does, by the mean of the squared sums of the weights. Where weights are the sample's
    own, that would be known only after a pass over all parts.

    Raises:
      ValueError: GKL without weights.
    """
    if name != "gkl":
        return None
    if weights is None:
        raise ValueError("gkl with the sample's own weights needs the whole batch")
    total = jnp.sum(jnp.power(weights, config.gamma), axis=-1)
    size = jnp.sqrt(jnp.mean(jnp.square(total)))
    return jnp.where(size > 0, size, 1.0)  # weights that are all zero stay zero


def scaled(weights: Array, gamma: float, scale: Array) -> Array:
    """The weights with which IKL of a part of a batch is GKL's share of the whole.

    They enter the squared error twice, so it is divided by the scale's square.
    """
    return jnp.power(weights, gamma) / scale


def uses_class_means(config: Config) -> bool:
    """Whether `config.loss` takes its weights from the class means."""
    by_choice = config.weights == "class_means" and config.name in ("ikl", "gkl")
    return by_choice or config.name == "class_wise_dkl"


def _kl(_: Config) -> Divergence:
    return lambda logits, target, weights, scale=None: ikl_jax.kl_divergence(
        logits, target
    )


def _dkl(config: Config) -> Divergence:
    return lambda logits, target, weights, scale=None: ikl_jax.dkl_loss(
        logits, target, alpha=config.alpha, beta=config.beta
    )


def _class_wise_dkl(config: Config) -> Divergence:
    """DKL with the class means as weights: its squared error moves the target alone."""
    alpha, beta = config.alpha, config.beta

    def divergence(
        logits: Array,
        target: Array,
        weights: Array | None,
        scale: Array | None = None,
    ) -> Array:
        stopped = jax.lax.stop_gradient(logits)
        squared = ikl_jax.ikl_loss(stopped, target, weights, alpha=alpha, beta=0.0)
        return squared + beta * ikl_jax.soft_cross_entropy(logits, target)

    return divergence


def _ikl(config: Config) -> Divergence:
    return lambda logits, target, weights, scale=None: ikl_jax.ikl_loss(
        logits, target, weights, alpha=config.alpha, beta=config.beta
    )


def _gkl(config: Config) -> Divergence:
    alpha, beta, gamma = config.alpha, config.beta, config.gamma

    def divergence(
        logits: Array,
        target: Array,
        weights: Array | None,
        scale: Array | None = None,
    ) -> Array:
        if weights is None or scale is None:
            return ikl_jax.gkl_loss(
                logits, target, weights, alpha=alpha, beta=beta, gamma=gamma
            )
        weights = scaled(weights, gamma, scale)
        return ikl_jax.ikl_loss(logits, target, weights, alpha=alpha, beta=beta)

    return divergence


DIVERGENCES: dict[str, Callable[[Config], Divergence]] = {
    "kl": _kl,
    "dkl": _dkl,
    "class_wise_dkl": _class_wise_dkl,
    "ikl": _ikl,
    "gkl": _gkl,
}
