"""Adversarial weight perturbation within a training step."""

import jax
import jax.numpy as jnp
import pytest

import ikl_jax
from tests.support.recipes import (
    after,
    assert_trees_close,
    batch,
    distance,
    make,
)
from train.recipes import attack, recipe
from train.recipes.state import Weights


@pytest.mark.long
def test_awp_waits_for_its_epoch_and_then_changes_the_step():
    plain, _ = after(make()[0], 2)
    waiting, _ = after(make(awp__gamma=0.01, awp__start_epoch=1)[0], 2)
    assert_trees_close(waiting.params, plain.params, atol=1e-6)
    at_once, _ = after(make(awp__gamma=0.01)[0], 2)
    assert distance(at_once.params, plain.params) > 1e-3


@pytest.mark.long
def test_awp_takes_the_gradient_elsewhere_but_moves_the_weights_themselves():
    """One step by hand: attack, perturb, differentiate there, apply here."""
    recipe_, task = make(awp__gamma=0.02, attack__steps=0, optimizer__weight_decay=0.0)
    start = recipe_.init(jax.random.key(0))
    state, _ = jax.jit(recipe_.step)(start, batch())
    x, labels = recipe.to_pixels(batch()["image"]), batch()["label"]
    x_adv, _ = attack.STARTS["gaussian"](task.config.attack, x, start.step_key())
    x_adv = jnp.clip(x_adv, 0, 1)

    def loss(params):
        natural, adv = (
            recipe.evaluate_logits(task.model, Weights(params, {}), v)
            for v in (x, x_adv)
        )
        one_hot = jax.nn.one_hot(labels, 4)
        cross_entropy = -jnp.sum(one_hot * jax.nn.log_softmax(natural), -1)
        weights = jnp.full_like(natural, 0.25)
        return jnp.mean(
            cross_entropy + ikl_jax.ikl_loss(adv, natural, weights, alpha=2.0, beta=1.0)
        )

    moved = ikl_jax.awp.perturb(start.params, jax.grad(loss)(start.params), 0.02)
    expected = jax.tree.map(
        lambda p, g: p - 0.05 * g, start.params, jax.grad(loss)(moved)
    )
    assert_trees_close(state.params, expected, atol=1e-6)


@pytest.mark.long
def test_weight_decay_at_the_perturbed_weights_is_a_choice():
    numbers = dict(awp__gamma=0.05, optimizer__weight_decay=0.1)
    here, _ = after(make(**numbers)[0])
    there, _ = after(make(awp__decay_perturbed=True, **numbers)[0])
    start = make(**numbers)[0].init(jax.random.key(0))
    apart = distance(here.params, there.params)
    assert 0 < apart < 0.1 * distance(here.params, start.params)


@pytest.mark.long
@pytest.mark.parametrize(("platform", "more"), [("tpu", 1), ("cpu", 0)])
def test_both_gradients_are_a_loop_on_a_tpu_and_not_on_cpu(platform, more):
    def loops(gamma):
        made, _ = make(attack__steps=0, awp__gamma=gamma)
        state = jax.eval_shape(made.init, jax.random.key(0))
        traced = jax.jit(made.step).trace(state, batch())
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        return text.count("stablehlo.while")

    assert loops(gamma=0.01) == loops(gamma=0.0) + more
