"""Adversarial training: TRADES with KL, DKL, IKL or GKL, and weight perturbation.

The loss is cross-entropy(natural) + strength * divergence(adversarial, natural), so
that `kl` is TRADES and the four compare on equal terms.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import ikl_jax
from ikl_jax.attacks import geometry
from ikl_jax.types import Array, PyTree
from train.recipes import divergences, recipe
from train.state import TrainState, Weights
from train.types import Config

Start = tuple[Array | None, Array | None]  # x_init and key of `attacks.pgd`


class Outcome(NamedTuple):
    """What the training loss leaves behind besides its value."""

    natural: Array
    adversarial: Array
    batch_stats: PyTree
    cross_entropy: Array
    divergence: Array


def build(task: recipe.Task) -> recipe.Recipe:
    config = task.config
    craft = _attack(task)
    loss_fn = _loss(task)
    uses_class_means = divergences.uses_class_means(config.loss)

    def step(state: TrainState, batch: Any) -> tuple[TrainState, recipe.Metrics]:
        x, labels = recipe.to_pixels(batch["image"]), batch["label"]
        means = state.class_means
        class_weights = None if means is None else means.weights_for(labels)
        epoch = jnp.asarray(state.step) // task.steps_per_epoch
        epsilon = ramp(config.attack, epoch)
        x_adv = craft(state, x, labels, class_weights, epsilon)

        def loss(params: PyTree) -> tuple[Array, Outcome]:
            return loss_fn(params, state.batch_stats, x, x_adv, labels, class_weights)

        attacked = state.params
        if config.awp.gamma:
            grads, _ = jax.grad(loss, has_aux=True)(state.params)
            gamma = jnp.where(epoch >= config.awp.start_epoch, config.awp.gamma, 0.0)
            attacked = ikl_jax.awp.perturb(state.params, grads, gamma)
        (value, outcome), grads = jax.value_and_grad(loss, has_aux=True)(attacked)

        decayed = attacked if config.awp.decay_perturbed else state.params
        updates, opt_state = state.tx.update(grads, state.opt_state, decayed)
        if means is not None:
            means = means.accumulate(
                outcome.natural, labels, temperature=config.loss.weight_temperature
            )
        state = state.replace(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            opt_state=opt_state,
            batch_stats=outcome.batch_stats,
            class_means=means,
        )
        metrics = {
            "loss": value,
            "cross_entropy": outcome.cross_entropy,
            "divergence": outcome.divergence,
            "natural_accuracy": recipe.accuracy(outcome.natural, labels),
            "robust_accuracy": recipe.accuracy(outcome.adversarial, labels),
            "epsilon": epsilon,
        }
        return state, metrics

    return task.finish(step, uses_class_means=uses_class_means)


def ramp(config: Config, epoch: Array) -> Array:
    """The radius in `epoch` (from 0): epsilon * min(1, (epoch + 1) / ramp epochs)."""
    share = (epoch + 1) / max(config.epsilon_ramp_epochs, 1)
    return config.epsilon * jnp.minimum(share, 1.0)


def _loss(task: recipe.Task) -> Callable[..., tuple[Array, Outcome]]:
    config = task.config
    divergence_fn = divergences.create(config.loss.name, config.loss)
    updates = config.batch_norm.updates
    others = [name for name in ("adversarial", "natural") if name not in updates]

    def loss(
        params: PyTree,
        batch_stats: PyTree,
        x: Array,
        x_adv: Array,
        labels: Array,
        class_weights: Array | None,
    ) -> tuple[Array, Outcome]:
        inputs = {"natural": x, "adversarial": x_adv}
        logits = {}
        for name in (*others, *updates):
            weights = Weights(params, batch_stats)
            logits[name], updated = recipe.train_logits(
                task.model, weights, inputs[name]
            )
            if name in updates:
                batch_stats = updated
        natural, adversarial = logits["natural"], logits["adversarial"]
        cross_entropy = recipe.cross_entropy(
            natural, labels, task.num_classes, config.loss.label_smoothing
        )
        divergence = jnp.mean(divergence_fn(adversarial, natural, class_weights))
        total = cross_entropy + config.loss.strength * divergence
        return total, Outcome(
            natural, adversarial, batch_stats, cross_entropy, divergence
        )

    return loss


def _attack(task: recipe.Task) -> Callable[..., Array]:
    config = task.config.attack
    logits_of = LOGITS[task.config.batch_norm.attack]
    objective = _objective(config)

    def craft(
        state: TrainState,
        x: Array,
        labels: Array,
        class_weights: Array | None,
        epsilon: Array,
    ) -> Array:
        def logits_fn(x: Array) -> Array:
            return logits_of(task.model, state.weights, x)

        natural = jax.lax.stop_gradient(logits_fn(x))
        x_init, key = STARTS[config.start](config, x, state.step_key())
        return ikl_jax.attacks.pgd(
            lambda x: objective(logits_fn(x), natural, labels, class_weights),
            x,
            epsilon=epsilon,
            step_size=config.relative_step_size * epsilon,
            steps=config.steps,
            norm=config.norm,
            x_init=x_init,
            key=key,
        )

    return craft


def _objective(config: Config) -> Callable[..., Array]:
    """What the attack increases: `(adversarial, natural, labels, weights)` to `[B]`."""
    if config.loss == "cross_entropy":
        return lambda adversarial, natural, labels, weights: (
            optax.losses.softmax_cross_entropy_with_integer_labels(adversarial, labels)
        )
    divergence = divergences.create(config.loss, config)
    return lambda adversarial, natural, labels, weights: divergence(
        adversarial, natural, weights
    )


def _gaussian_start(config: Config, x: Array, key: Array) -> Start:
    keys = geometry.example_keys(key, len(x))
    noise = jax.vmap(lambda key: jax.random.normal(key, x.shape[1:]))(keys)
    return x + config.start_scale * noise, None


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
