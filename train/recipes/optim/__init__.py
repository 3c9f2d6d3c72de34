"""Optimiser and learning-rate schedule from the numbers of `config.optimizer`."""

import itertools

import optax

from ikl_jax.types import PyTree
from train.base import fields
from train.base.config import OptimizerConfig
from train.base.errors import UserError
from train.recipes.optim import layers, schedules
from train.recipes.optim.optimizers import OPTIMIZERS, UNSET, Run


def create(
    optimizer: OptimizerConfig,
    *,
    epochs: int,
    steps_per_epoch: int,
    depths: PyTree | None = None,
) -> optax.GradientTransformation:
    """Gradients to updates: clipped, turned into the optimiser's, scaled by layer.

    Args:
      optimizer: the section of the config.
      epochs: the length of the schedule, in epochs.
      steps_per_epoch: steps of an epoch.
      depths: `layers.depths` of the model, for an `optimizer.layer_decay` below 1.
    """
    run = Run(
        schedules.create(optimizer, epochs, steps_per_epoch),
        schedules.momentum(optimizer, epochs, steps_per_epoch),
    )
    transformation = OPTIMIZERS[optimizer.name].create(optimizer, run)
    chain = [transformation]
    if optimizer.clip_norm:
        chain.insert(0, optax.clip_by_global_norm(optimizer.clip_norm))
    if optimizer.layer_decay != 1:
        if depths is None:
            raise ValueError("optimizer.layer_decay needs the depths of the layers")
        chain.append(layers.scale_by_depth(optimizer.layer_decay, depths))
    # What is not used leaves no trace in the state that checkpoints hold.
    return optax.chain(*chain) if len(chain) > 1 else transformation


def schedule(
    optimizer: OptimizerConfig, *, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
    """The learning rate as a function of the step (from 0)."""
    return schedules.create(optimizer, epochs, steps_per_epoch)


def check(optimizer: OptimizerConfig) -> None:
    """Raises `UserError` for values that no run can use."""
    fields.one_of("optimizer", optimizer, name=OPTIMIZERS, schedule=schedules.SCHEDULES)
    fields.non_negative(
        "optimizer", optimizer, "learning_rate", "weight_decay", "clip_norm"
    )
    fields.positive("optimizer", optimizer, "layer_decay", "decay_factor")
    fields.shares("optimizer", optimizer, "warmup", "layer_decay")
    fields.below_one("optimizer", optimizer, "momentum")
    ends = [0.0, *optimizer.milestones, 1.0]
    if not all(first < then for first, then in itertools.pairwise(ends)):
        raise UserError(
            "optimizer.milestones must be shares of the epochs within (0, 1), each "
            f"larger than the one before, got {optimizer.milestones}"
        )
    if optimizer.cycle_momentum and optimizer.schedule not in schedules.ONE_CYCLES:
        raise UserError(
            "optimizer.cycle_momentum is for the schedules "
            f"{' and '.join(schedules.ONE_CYCLES)}, got {optimizer.schedule}"
        )
    _check_unused(optimizer)
    for name in ("b1", "b2"):
        value = getattr(optimizer, name)
        if value != UNSET and not 0 <= value < 1:
            raise UserError(
                f"optimizer.{name} must lie in [0, 1), or be {UNSET:g} for Optax's "
                f"default, got {value:g}"
            )
    if optimizer.eps != UNSET and not optimizer.eps > 0:
        raise UserError(
            f"optimizer.eps must be > 0, or {UNSET:g} for Optax's default, got "
            f"{optimizer.eps:g}"
        )


def _check_unused(optimizer: OptimizerConfig) -> None:
    """Refuses what was set but does nothing; `momentum` has a value in any case."""
    unset = {"b1": UNSET, "b2": UNSET, "eps": UNSET} | {
        "nesterov": False, "cycle_momentum": False,
    }  # fmt: skip
    for field, value in unset.items():
        given, used = getattr(optimizer, field), OPTIMIZERS[optimizer.name].fields
        if given != value and field not in used:
            users = sorted(n for n, o in OPTIMIZERS.items() if field in o.fields)
            raise UserError(
                f"optimizer.{field} must be {value} for {optimizer.name}, which has no "
                f"use for it, got {given}; it is for {', '.join(users)}"
            )
