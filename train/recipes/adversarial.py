"""Adversarial training: TRADES with any divergence, and weight perturbation.

The loss is cross-entropy(natural) + strength * divergence(adversarial, natural), so
that `kl` is TRADES and all divergences compare on equal terms. Where batches come with
a second view of each image, that view is attacked too, and its loss is added with a
weight of its own; class means and metrics are those of the first views alone.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from ikl_jax import ClassMeans, checks
from ikl_jax.attacks.common.keys import example_keys
from ikl_jax.types import Array, PyTree, Scalar
from train.base import fields
from train.base.config import Config
from train.base.errors import UserError, explained
from train.recipes import attack, losses, perturbed, recipe
from train.recipes.accumulation import Accumulation, Outcome
from train.recipes.losses import DIVERGENCES, Coefficients, Target
from train.recipes.state import TrainState, Weights

PASSES = ("adversarial", "natural")  # forward passes of a step


class AttackedExamples(NamedTuple):
    """Examples of a step's batch.

    Attributes:
      image: uint8 `[B, H, W, K]`.
      label: `[B]`.
      key: `[B]`, a random key for each example, so that no example's attack depends on
        the micro-batch that it is in.
      first: `[B]`, whether the example is a first view; None: all are.
      x_adv: `[B, H, W, K]` in [0, 1], once it is crafted.
    """

    image: Array
    label: Array
    key: Array
    first: Array | None = None
    x_adv: Array | None = None

    @property
    def x(self) -> Array:
        return recipe.to_pixels(self.image)

    def mean(self, values: Array, second_weight: Scalar) -> Array:
        """The mean over the first views plus `second_weight` times that over the second
        views.
        """
        if self.first is None:
            return jnp.mean(values)
        # Half of the rows of all micro-batches together are first views.
        return 2 * jnp.mean(values * jnp.where(self.first, 1.0, second_weight))


def build(task: recipe.Task) -> recipe.BuiltRecipe:
    config = task.config
    craft = attack.create(task)
    loss_fn = _loss(task)
    accumulation = Accumulation.of(task)
    uses_class_means = DIVERGENCES[config.loss.name].uses_class_means(config.loss)
    # In the gradient that moves the weights, and in the one that trains.
    second_weights = config.awp.second_view_weight, config.loss.second_view_weight

    def step(state: TrainState, batch: Any) -> tuple[TrainState, recipe.Metrics]:
        means = state.class_means
        images, labels, first = _views(batch)
        epoch = jnp.asarray(state.step) // task.steps_per_epoch
        ramp_epochs = config.attack.epsilon_ramp * config.epochs
        epsilon = config.attack.epsilon * recipe.ramp(epoch, ramp_epochs)
        scales = _scales(config, means, labels) if accumulation.count > 1 else NO_SCALES
        keys = example_keys(state.step_key(), len(labels))
        parts = accumulation.split(AttackedExamples(images, labels, keys, first))

        def attacked(part: AttackedExamples) -> Array:
            target_of = functools.partial(_target, means, part.label, scales.attack)
            return craft(state.weights, part.x, target_of, part.key, epsilon, epoch)

        parts = parts._replace(x_adv=accumulation.map(attacked, parts))

        def gradient_at(params: PyTree, number: Array) -> tuple[PyTree, Outcome]:
            second_weight = jnp.asarray(second_weights)[number]
            loss = lambda params, part: loss_fn(
                params, state, part, scales.loss, second_weight
            )
            return accumulation.gradient(loss, params, parts)

        params = state.params
        if config.awp.gamma:
            gamma = jnp.where(epoch >= config.awp.start_epoch, config.awp.gamma, 0.0)
            params, grads, outcome = perturbed.gradient(gradient_at, params, gamma)
        else:
            grads, outcome = gradient_at(params, jnp.asarray(1))

        if means is not None:
            temperature = config.loss.weight_temperature
            means = means.accumulate(
                outcome.per_example, labels, temperature=temperature, where=first
            )
        decayed = params if config.awp.decay_perturbed else state.params
        updates, opt_state = state.tx.update(grads, state.opt_state, decayed)
        state = state.replace(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            opt_state=opt_state,
            batch_stats=outcome.batch_stats,
            class_means=means,
        )
        return state, outcome.metrics | {"epsilon": epsilon}

    return task.finish(step, uses_class_means=uses_class_means)


def check(config: Config) -> None:
    """Raises `UserError` for what adversarial training in particular cannot use."""
    with explained():
        for name in config.batch_norm.updates:
            checks.one_of("batch_norm.updates", name, PASSES)
    fields.non_negative("awp", config.awp, "gamma", "start_epoch", "second_view_weight")
    attack.check_start(config.attack)
    if not DIVERGENCES[config.loss.name].uses_class_means(config.loss):
        _check_without_class_means(config)


def _check_without_class_means(config: Config) -> None:
    """Refuses what cannot take its weights from the sample's own prediction."""
    objective = attack.OBJECTIVES[config.attack.loss]
    if objective.weights == "class_means":
        raise UserError(
            f"attack.loss={objective.name} takes its weights from the class means, "
            f"which are kept for {losses.with_class_means()}, got loss.name="
            f"{config.loss.name} with loss.weights={config.loss.weights}"
        )
    for used in (DIVERGENCES[config.loss.name], objective):
        if used.batch_scale and config.accumulate > 1:
            raise UserError(
                f"accumulate={config.accumulate} cannot give {used.name.upper()}'s "
                "loss of the whole batch where weights are the sample's own "
                "(loss.weights=sample, or a loss.name without weights): accumulate "
                "must be 1"
            )


def _views(batch: Any) -> tuple[Array, Array, Array | None]:
    """Images and labels, and which rows are first views if there are second ones.

    Second views follow the first ones, as in the authors' code: so BatchNorm's groups,
    which are runs of rows, are of one kind of view.
    """
    image, label = batch["image"], batch["label"]
    if "second_view" not in batch:
        return image, label, None
    images = jnp.concatenate([image, batch["second_view"]])
    first = jnp.arange(2 * len(label)) < len(label)
    return images, jnp.concatenate([label, label]), first


def _loss(task: recipe.Task) -> Callable[..., tuple[Array, Outcome]]:
    config = task.config
    divergence_fn = DIVERGENCES[config.loss.name].loss
    coefficients = Coefficients.of(config.loss)
    smoothing = config.loss.label_smoothing
    passes = _passes(task)

    def loss(
        params: PyTree,
        state: TrainState,
        part: AttackedExamples,
        scale: Array | None,
        second_weight: Scalar,
    ) -> tuple[Array, Outcome]:
        natural, adversarial, batch_stats = passes(
            Weights(params, state.batch_stats), part
        )
        cross_entropy = part.mean(
            recipe.cross_entropies(natural, part.label, task.num_classes, smoothing),
            second_weight,
        )
        target = _target(state.class_means, part.label, scale, natural)
        divergence = part.mean(
            divergence_fn(adversarial, target, coefficients), second_weight
        )
        total = cross_entropy + config.loss.strength * divergence
        metrics = {
            "loss": total,
            "cross_entropy": cross_entropy,
            "divergence": divergence,
            "natural_accuracy": part.mean(recipe.is_right(natural, part.label), 0.0),
            "robust_accuracy": part.mean(recipe.is_right(adversarial, part.label), 0.0),
        }
        counted = None if state.class_means is None else natural
        return total, Outcome(metrics, batch_stats, counted)

    return loss


def _target(
    means: ClassMeans | None, labels: Array, scale: Array | None, logits: Array
) -> Target:
    weights = None if means is None else means.weights_for(labels)
    return Target(logits, labels, weights, scale)


def _passes(task: recipe.Task) -> Callable[..., tuple[Array, Array, PyTree]]:
    """Natural and adversarial logits, and the running statistics after both."""
    updates = task.config.batch_norm.updates
    others = [name for name in PASSES if name not in updates]

    def passes(weights: Weights, part: AttackedExamples) -> tuple[Array, Array, PyTree]:
        inputs: dict[str, Any] = {"adversarial": part.x_adv, "natural": part.x}
        logits: dict[str, Array] = {}
        for name in (*others, *updates):
            # The attack's draws have the number 0.
            keys = recipe.keys_of_pass(task.model, part.key, 1 + PASSES.index(name))
            logits[name], updated = recipe.train_logits(
                task.model, weights, inputs[name], keys
            )
            if name in updates:
                weights = Weights(weights.params, updated)
        return logits["natural"], logits["adversarial"], weights.batch_stats

    return passes


class Scales(NamedTuple):
    """`Target.scale` of the attack and of the loss."""

    attack: Array | None
    loss: Array | None


NO_SCALES = Scales(None, None)


def _scales(config: Config, means: ClassMeans | None, labels: Array) -> Scales:
    weights = None if means is None else means.weights_for(labels)
    objective, divergence = (
        attack.OBJECTIVES[config.attack.loss], DIVERGENCES[config.loss.name],
    )  # fmt: skip
    return Scales(
        objective.scale(weights, config.attack.gamma),
        divergence.scale(weights, config.loss.gamma),
    )


ADVERSARIAL = recipe.Recipe(
    "adversarial",
    build,
    divergences=DIVERGENCES,
    attacks=True,
    takes_second_view=True,
    check=check,
)
