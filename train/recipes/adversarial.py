"""Adversarial training: TRADES with KL, DKL, IKL or GKL, and weight perturbation.

The loss is cross-entropy(natural) + strength * divergence(adversarial, natural), so
that `kl` is TRADES and the four compare on equal terms. Where batches come with a
second view of each image, that is attacked too, and its loss is added with a weight of
its own; the class means and the metrics know the first view alone.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import ikl_jax
from ikl_jax import ClassMeans
from ikl_jax.attacks.common import geometry
from ikl_jax.types import Array, PyTree
from train.base.config import Config
from train.recipes import divergences, recipe
from train.recipes.accumulation import Accumulation, Outcome
from train.recipes.state import TrainState, Weights

Start = tuple[Array | None, Array | None]  # x_init and key of `attacks.pgd`


class Part(NamedTuple):
    """Some examples of a step's batch.

    Attributes:
      image: uint8 `[B, H, W, K]`.
      label: `[B]`.
      key: `[B]`, each example's own, so that no part's attack depends on the others.
      first: `[B]`, whether it is a first view; None: all are.
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

    def mean(self, values: Array, second_weight: float) -> Array:
        """`[B]` to first views' mean + weight * second views' mean, in all parts."""
        if self.first is None:
            return jnp.mean(values)
        # Half of the rows of all parts together are first views.
        return 2 * jnp.mean(values * jnp.where(self.first, 1.0, second_weight))


def build(task: recipe.Task) -> recipe.Recipe:
    config = task.config
    craft = _attack(task)
    loss_fn = _loss(task)
    accumulation = Accumulation.of(task)
    uses_class_means = divergences.uses_class_means(config.loss)

    def step(state: TrainState, batch: Any) -> tuple[TrainState, recipe.Metrics]:
        means = state.class_means
        images, labels, first = _views(batch)
        epoch = jnp.asarray(state.step) // task.steps_per_epoch
        ramp_epochs = config.attack.epsilon_ramp * config.epochs
        epsilon = config.attack.epsilon * recipe.ramp(epoch, ramp_epochs)
        scales = _scales(config, means, labels) if accumulation.count > 1 else NO_SCALES
        keys = geometry.example_keys(state.step_key(), len(labels))
        parts = accumulation.split(Part(images, labels, keys, first))
        x_adv = accumulation.map(
            lambda part: craft(state, part, epsilon, epoch, scales.attack), parts
        )
        parts = parts._replace(x_adv=x_adv)

        def loss(
            params: PyTree,
            part: Part,
            sums: ClassMeans | None,
            second_weight: float = config.loss.second_view_weight,
        ) -> tuple[Array, Outcome]:
            return loss_fn(params, state, part, sums, scales.loss, second_weight)

        attacked = state.params
        if config.awp.gamma:
            awp_loss = functools.partial(
                loss, second_weight=config.awp.second_view_weight
            )
            grads, _ = accumulation.gradient(awp_loss, state.params, parts)
            gamma = jnp.where(epoch >= config.awp.start_epoch, config.awp.gamma, 0.0)
            attacked = ikl_jax.awp.perturb(state.params, grads, gamma)
        grads, outcome = accumulation.gradient(loss, attacked, parts, means)

        decayed = attacked if config.awp.decay_perturbed else state.params
        updates, opt_state = state.tx.update(grads, state.opt_state, decayed)
        state = state.replace(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            opt_state=opt_state,
            batch_stats=outcome.batch_stats,
            class_means=outcome.class_means,
        )
        return state, outcome.metrics | {"epsilon": epsilon}

    return task.finish(step, uses_class_means=uses_class_means)


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
    divergence_fn = divergences.create(config.loss.name, config.loss)
    temperature = config.loss.weight_temperature
    passes = _passes(task)

    def loss(
        params: PyTree,
        state: TrainState,
        part: Part,
        sums: ClassMeans | None,
        scale: Array | None,
        second_weight: float,
    ) -> tuple[Array, Outcome]:
        natural, adversarial, batch_stats = passes(
            Weights(params, state.batch_stats), part
        )
        smoothing = config.loss.label_smoothing
        cross_entropy = part.mean(
            recipe.cross_entropies(natural, part.label, task.num_classes, smoothing),
            second_weight,
        )
        class_weights = _class_weights(state.class_means, part.label)
        divergence = part.mean(
            divergence_fn(adversarial, natural, class_weights, scale), second_weight
        )
        total = cross_entropy + config.loss.strength * divergence
        metrics = {
            "loss": total,
            "cross_entropy": cross_entropy,
            "divergence": divergence,
            "natural_accuracy": part.mean(recipe.is_right(natural, part.label), 0.0),
            "robust_accuracy": part.mean(recipe.is_right(adversarial, part.label), 0.0),
        }
        if sums is not None:
            sums = sums.accumulate(
                natural, part.label, temperature=temperature, where=part.first
            )
        return total, Outcome(metrics, batch_stats, sums)

    return loss


def _passes(task: recipe.Task) -> Callable[..., tuple[Array, Array, PyTree]]:
    """Natural and adversarial logits, and the running statistics after both."""
    updates = task.config.batch_norm.updates
    others = [name for name in ("adversarial", "natural") if name not in updates]

    def passes(weights: Weights, part: Part) -> tuple[Array, Array, PyTree]:
        inputs = {"natural": part.x, "adversarial": part.x_adv}
        logits = {}
        for name in (*others, *updates):
            logits[name], updated = recipe.train_logits(
                task.model, weights, inputs[name]
            )
            if name in updates:
                weights = Weights(weights.params, updated)
        return logits["natural"], logits["adversarial"], weights.batch_stats

    return passes


def _class_weights(means: ClassMeans | None, labels: Array) -> Array | None:
    return None if means is None else means.weights_for(labels)


def _attack(task: recipe.Task) -> Callable[..., Array]:
    config = task.config.attack
    logits_of = LOGITS[task.config.batch_norm.attack]
    objective = _objective(config)

    fewest = config.first_steps or config.steps
    numbers = range(fewest, config.steps + 1)

    def craft(
        state: TrainState,
        part: Part,
        epsilon: Array,
        epoch: Array,
        scale: Array | None,
    ) -> Array:
        def logits_fn(x: Array) -> Array:
            return logits_of(task.model, state.weights, x)

        x = part.x
        natural = jax.lax.stop_gradient(logits_fn(x))
        class_weights = _class_weights(state.class_means, part.label)
        x_init, key = STARTS[config.start](config, x, part.key)
        attacks = [
            functools.partial(
                ikl_jax.attacks.pgd,
                lambda x: objective(
                    logits_fn(x), natural, part.label, class_weights, scale
                ),
                epsilon=epsilon,
                step_size=config.relative_step_size * epsilon,
                steps=steps,
                norm=config.norm,
                x_init=x_init,
                key=key,
            )
            for steps in numbers
        ]
        # Each number of steps for an equal share of the epochs.
        return jax.lax.switch(epoch * len(attacks) // task.config.epochs, attacks, x)

    return craft


def _objective(config: Config) -> Callable[..., Array]:
    """What the attack increases: a divergence with labels before the weights."""
    if config.loss == "cross_entropy":
        return lambda adversarial, natural, labels, weights, scale: (
            optax.losses.softmax_cross_entropy_with_integer_labels(adversarial, labels)
        )
    divergence = divergences.create(config.loss, config)
    return lambda adversarial, natural, labels, weights, scale: divergence(
        adversarial, natural, weights, scale
    )


class Scales(NamedTuple):
    """`divergences.scale` of the attack and of the loss."""

    attack: Array | None
    loss: Array | None


def _scales(config: Config, means: ClassMeans | None, labels: Array) -> Scales:
    weights = _class_weights(means, labels)
    return Scales(
        divergences.scale(config.attack.loss, config.attack, weights),
        divergences.scale(config.loss.name, config.loss, weights),
    )


def _gaussian_start(config: Config, x: Array, key: Array) -> Start:
    keys = geometry.example_keys(key, len(x))
    noise = jax.vmap(lambda key: jax.random.normal(key, x.shape[1:]))(keys)
    return x + config.start_scale * noise, None


NO_SCALES = Scales(None, None)
# BatchNorm in the attack: running statistics, or the batch's without keeping them.
LOGITS = {
    "running": recipe.evaluate_logits,
    "batch": lambda model, weights, x: recipe.train_logits(model, weights, x)[0],
}
STARTS: dict[str, Callable[[Config, Array, Array], Start]] = {
    "gaussian": _gaussian_start,
    "natural": lambda config, x, key: (None, None),
    "uniform": lambda config, x, key: (None, key),
}
