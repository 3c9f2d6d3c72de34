"""The attack within a training step: what it increases, where it starts, how far."""

import functools
import math
from collections.abc import Callable

import jax
import optax

import ikl_jax
from ikl_jax.attacks.common import geometry
from ikl_jax.attacks.common.keys import example_keys
from ikl_jax.types import Array
from train.base import fields
from train.base.config import AttackConfig, BatchNormConfig
from train.base.errors import UserError
from train.recipes import recipe
from train.recipes.losses import DIVERGENCES, Coefficients, Divergence, Target
from train.recipes.state import Weights

Start = tuple[Array | None, Array | None]  # x_init and key of `attacks.pgd`
TargetOf = Callable[[Array], Target]  # the natural logits to the whole target
# `(weights, x, target_of, keys, epsilon, epoch)` to adversarial examples like `x`.
Craft = Callable[[Weights, Array, TargetOf, Array, Array, Array], Array]


def create(task: recipe.Task) -> Craft:
    """The attack that `config.attack` describes, on the model of the task."""
    attack = task.config.attack
    logits_of = LOGITS[task.config.batch_norm.attack]
    objective, coefficients = OBJECTIVES[attack.loss], Coefficients.of(attack)
    fewest = attack.first_steps or attack.steps
    numbers_of_steps = range(fewest, attack.steps + 1)

    def craft(
        weights: Weights,
        x: Array,
        target_of: TargetOf,
        keys: Array,
        epsilon: Array,
        epoch: Array,
    ) -> Array:
        drawn = recipe.keys_of_pass(task.model, keys, 0)  # the same in all its steps

        def logits_fn(x: Array) -> Array:
            return logits_of(task.model, weights, x, drawn)

        target = target_of(jax.lax.stop_gradient(logits_fn(x)))
        x_init, key = STARTS[attack.start](attack, x, keys)
        attacks = [
            functools.partial(
                ikl_jax.attacks.pgd,
                lambda x: objective.loss(logits_fn(x), target, coefficients),
                epsilon=epsilon,
                step_size=attack.relative_step_size * epsilon,
                steps=steps,
                norm=attack.norm,
                x_init=x_init,
                key=key,
            )
            for steps in numbers_of_steps
        ]
        # Each number of steps for an equal share of the epochs.
        return jax.lax.switch(epoch * len(attacks) // task.config.epochs, attacks, x)

    return craft


def check(attack: AttackConfig, batch_norm: BatchNormConfig) -> None:
    """Raises `UserError` for values that no attack in training can use."""
    fields.one_of("attack", attack, norm=geometry.NORMS, loss=OBJECTIVES, start=STARTS)
    fields.one_of("batch_norm", batch_norm, attack=LOGITS)
    fields.non_negative(
        "attack", attack, "epsilon", "steps", "first_steps", "relative_step_size",
        "start_scale", "alpha", "beta", "gamma",
    )  # fmt: skip
    fields.shares("attack", attack, "epsilon_ramp")
    if attack.first_steps > attack.steps:
        raise UserError(
            f"attack.first_steps must be at most attack.steps={attack.steps}, got "
            f"{attack.first_steps}"
        )


def check_epsilon(
    name: str, norm: str, epsilon: float, image_shape: tuple[int, int, int]
) -> None:
    """Raises `UserError` for a ball that is larger than the box of all images."""
    pixels = math.prod(image_shape)
    largest = {"linf": 1.0, "l2": math.sqrt(pixels), "l1": float(pixels)}[norm]
    if epsilon > largest:
        hint = f"; did you mean {epsilon:g}/255?" if norm == "linf" else ""
        raise UserError(
            f"{name} is a radius in pixels of [0, 1] and at most {largest:g} in {norm} "
            f"for images {image_shape}, got {epsilon:g}{hint}"
        )


def check_start(attack: AttackConfig) -> None:
    """Raises `UserError` for an attack that could not leave the natural image."""
    still = attack.start == "natural" or (
        attack.start == "gaussian" and not attack.start_scale
    )
    if still and attack.loss in DIVERGENCES:
        raise UserError(
            f"attack.loss={attack.loss} has no gradient at the natural image: "
            "attack.start must be uniform, or gaussian with attack.start_scale > 0, "
            f"got {attack.start} (start_scale {attack.start_scale})"
        )


def _cross_entropy(logits: Array, target: Target, _: Coefficients) -> Array:
    return optax.losses.softmax_cross_entropy_with_integer_labels(logits, target.labels)


def _gaussian_start(attack: AttackConfig, x: Array, key: Array) -> Start:
    keys = example_keys(key, len(x))
    noise = jax.vmap(lambda key: jax.random.normal(key, x.shape[1:]))(keys)
    return x + attack.start_scale * noise, None


def _as_evaluated(
    model: recipe.Model, weights: Weights, x: Array, _: Array | None
) -> Array:
    return recipe.evaluate_logits(model, weights, x)


def _as_trained(
    model: recipe.Model, weights: Weights, x: Array, keys: Array | None
) -> Array:
    return recipe.train_logits(model, weights, x, keys)[0]


# What an attack can increase: the cross-entropy of the labels, or a divergence from the
# natural prediction.
OBJECTIVES = {
    "cross_entropy": Divergence("cross_entropy", _cross_entropy),
    **DIVERGENCES,
}
# BatchNorm in the attack: running statistics, or the batch's without keeping them.
LOGITS = {
    "running": _as_evaluated,
    "batch": _as_trained,
}
STARTS: dict[str, Callable[[AttackConfig, Array, Array], Start]] = {
    "gaussian": _gaussian_start,
    "natural": lambda attack, x, key: (None, None),
    "uniform": lambda attack, x, key: (None, key),
}
