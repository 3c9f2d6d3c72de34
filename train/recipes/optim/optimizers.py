"""Optax's first-order optimisers by name.

`sgd` adds weight decay to the gradient, as torch does, and `lars` does too. All others
take it off the weights, times the learning rate (decoupled weight decay), so `adamw` is
here and a plain `adam` would be the same. In `lars` and `lamb` the trust ratio scales
the decay together with the direction. Left out are the optimisers that need more than a
gradient: the value of the loss, noise, or the gradient of the whole training set.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import optax

from ikl_jax.types import PyTree
from train.base.config import OptimizerConfig
from train.recipes.optim import leaves

UNSET = -1.0  # of b1, b2 and eps: Optax's default for the optimiser


class Run(NamedTuple):
    """What changes in the course of a run, as functions of the step."""

    learning_rate: optax.Schedule
    momentum: optax.Schedule


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """One line of the table.

    Attributes:
      create: makes the transformation of gradients to updates.
      fields: what it reads of b1, b2, eps, momentum, nesterov and cycle_momentum.
    """

    create: Callable[[OptimizerConfig, Run], optax.GradientTransformation]
    fields: frozenset[str]


def _sgd(optimizer: OptimizerConfig, run: Run) -> optax.GradientTransformation:
    """SGD with momentum; weight decay is added to the gradient, as in torch."""
    return optax.chain(
        _decay(optimizer),
        _momentum(optimizer, run),
        optax.scale_by_learning_rate(run.learning_rate),
    )


def _momentum(optimizer: OptimizerConfig, run: Run) -> optax.GradientTransformation:
    if not optimizer.cycle_momentum:
        return optax.trace(optimizer.momentum, optimizer.nesterov)
    trace = optax.inject_hyperparams(optax.trace, static_args="nesterov")
    return trace(decay=run.momentum, nesterov=optimizer.nesterov)


def _lars(optimizer: OptimizerConfig, run: Run) -> optax.GradientTransformation:
    """Optax's: the trust ratio scales gradient and decay; momentum comes last."""
    return optax.lars(
        run.learning_rate,
        weight_decay=optimizer.weight_decay,
        weight_decay_mask=_decayed(optimizer),
        momentum=optimizer.momentum,
        nesterov=optimizer.nesterov,
    )


def _decoupled(
    direction: Callable[..., optax.GradientTransformation],
    arguments: Mapping[str, str] | None = None,
    *,
    then: Callable[[], optax.GradientTransformation] = optax.identity,
) -> Optimizer:
    """An optimiser with decoupled weight decay.

    Args:
      direction: gradients to directions.
      arguments: fields of the config, and which argument of `direction` each one is.
      then: what follows on the decay and comes before the learning rate.
    """
    arguments = arguments or {}

    def create(optimizer: OptimizerConfig, run: Run) -> optax.GradientTransformation:
        given: dict[str, Any] = {
            argument: getattr(optimizer, field)
            for field, argument in arguments.items()
            if getattr(optimizer, field) != UNSET
        }
        return optax.chain(
            direction(**given),
            _decay(optimizer),
            then(),
            optax.scale_by_learning_rate(run.learning_rate),
        )

    return Optimizer(create, frozenset(arguments))


def _adafactor() -> optax.GradientTransformation:
    return optax.chain(
        optax.scale_by_factored_rms(),
        optax.clip_by_block_rms(1.0),
        optax.scale_by_param_block_rms(),
    )


def _nadam(**given: Any) -> optax.GradientTransformation:
    return optax.scale_by_adam(nesterov=True, **given)


def _lamb(eps: float = 1e-6, **given: Any) -> optax.GradientTransformation:
    return optax.scale_by_adam(eps=eps, **given)


def _signum(beta: float = 0.9) -> optax.GradientTransformation:
    return optax.chain(optax.ema(beta, debias=False), optax.scale_by_sign())


def _decay(optimizer: OptimizerConfig) -> optax.GradientTransformation:
    return optax.add_decayed_weights(optimizer.weight_decay, _decayed(optimizer))


def _decayed(optimizer: OptimizerConfig) -> Callable[[PyTree], PyTree] | None:
    """The mask of the leaves that decay; None: all."""
    return None if optimizer.decay_vectors else leaves.matrices


_MOMENTUM = frozenset({"momentum", "nesterov"})
_BETAS = {"b1": "b1", "b2": "b2"}
_ADAM = _BETAS | {"eps": "eps"}
OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(_sgd, _MOMENTUM | {"cycle_momentum"}),
    "adabelief": _decoupled(optax.scale_by_belief, _ADAM),
    "adadelta": _decoupled(optax.scale_by_adadelta, {"b2": "rho", "eps": "eps"}),
    "adafactor": _decoupled(_adafactor),
    "adagrad": _decoupled(optax.scale_by_rss, {"eps": "eps"}),
    "adamax": _decoupled(optax.scale_by_adamax, _ADAM),
    "adamw": _decoupled(optax.scale_by_adam, _ADAM),
    "adan": _decoupled(optax.scale_by_adan, _ADAM),
    "amsgrad": _decoupled(optax.scale_by_amsgrad, _ADAM),
    "lamb": _decoupled(_lamb, _ADAM, then=optax.scale_by_trust_ratio),
    "lars": Optimizer(_lars, _MOMENTUM),
    "lion": _decoupled(optax.scale_by_lion, _BETAS),
    "nadamw": _decoupled(_nadam, _ADAM),
    "novograd": _decoupled(optax.scale_by_novograd, _ADAM),
    "radam": _decoupled(optax.scale_by_radam, _ADAM),
    "rmsprop": _decoupled(optax.scale_by_rms, {"b2": "decay", "eps": "eps"}),
    "signum": _decoupled(_signum, {"b1": "beta"}),
    "sm3": _decoupled(optax.scale_by_sm3, _ADAM),
    "yogi": _decoupled(optax.scale_by_yogi, _ADAM),
}
