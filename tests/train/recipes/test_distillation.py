"""The distillation recipe: its losses and its step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from tests.conftest import cases
from tests.support.recipes import (
    STEPS_PER_EPOCH,
    assert_trees_close,
    make,
    taught,
)
from train.recipes import distillation
from train.recipes.distillation import TaughtExamples

LOSSES = ("kd", "dkd", "dkl", "ikl", "gkl")


BATCHES = (
    "B16_C100_s4", "B1_C2_s1", "B2_C1000_s6", "B4_C3_s1", "B8_C10_s1", "B8_C10_s30",
)  # fmt: skip


def golden_cases(golden):
    prefixes = ("kd", "dkd", "ikl_kd", "gkl_kd")
    known = {tuple(key.split("/")[:2]) for key in golden if key.count("/") == 2}
    return sorted(case for case in known if case[1].startswith(prefixes))


def loss_config(**changed):
    config = base.get_config().loss
    config.update(changed)
    return config


def test_there_are_golden_cases_of_all_batches(golden_losses):
    assert {batch_name for batch_name, _ in golden_cases(golden_losses)} == {*BATCHES}
    assert len(golden_cases(golden_losses)) > 80


@pytest.mark.long
@pytest.mark.parametrize("batch_name", cases(BATCHES, quick=["B8_C10_s1"]))
def test_golden_losses_through_the_recipe(golden_losses, x64, batch_name):
    kinds = [kind for name, kind in golden_cases(golden_losses) if name == batch_name]
    for kind in kinds:
        given = {
            field: float(golden_losses[f"{batch_name}/{kind}/{field}"])
            for field in ("alpha", "beta", "gamma", "temperature", "weight_temperature")
            if f"{batch_name}/{kind}/{field}" in golden_losses
        }
        config = loss_config(name=kind.split("_")[0], **given)
        n, m, labels, rows = (
            jnp.asarray(golden_losses[f"{batch_name}/{field}"])
            for field in ("logits_n", "logits_m", "labels", "class_weights")
        )
        example = {"teacher_logits": m, "label": labels}
        weights = distillation.target_weights(config, None, example)
        if "_class_" in kind:
            weights = rows

        def loss(n, m, labels=labels, weights=weights, config=config):
            part = TaughtExamples(jnp.zeros(()), labels, m, weights)
            return distillation.divergence_from(config, n, part).mean()

        value, (to_student, to_teacher) = jax.value_and_grad(loss, (0, 1))(n, m)
        prefix = f"{batch_name}/{kind}"
        for ours, name in ((value, "value"), (to_student, "grad_n")):
            expected = golden_losses[f"{prefix}/{name}"]
            atol = 1e-9 * np.abs(expected).max() + 1e-15
            np.testing.assert_allclose(
                ours, expected, rtol=0, atol=atol, err_msg=f"{prefix}/{name}"
            )
        assert not np.any(to_teacher)


@pytest.mark.long
@pytest.mark.parametrize("weights", ["sample", "class_means"])
@pytest.mark.parametrize("name", ["ikl", "gkl"])
def test_the_squared_error_alone_moves_the_student_not_the_teacher(name, weights):
    fields = dict(
        loss__name=name, loss__weights=weights, loss__beta=0.0,
        loss__cross_entropy=0.0, loss__warmup_epochs=0,
        optimizer__weight_decay=0.0,
    )  # fmt: skip
    recipe, _ = make(name="distillation", **fields)
    start = recipe.init(jax.random.key(0))

    state, _ = recipe.step(start, taught())
    changes = jax.tree.map(
        lambda a, b: jnp.max(jnp.abs(a - b)), state.params, start.params
    )
    assert max(jax.tree.leaves(changes)) > 1e-4

    config = loss_config(name=name, beta=0.0)
    n, m = jax.random.normal(jax.random.key(1), (2, 16, 4))

    def of(n, m):
        labels, weights = jnp.zeros(16, int), jax.nn.softmax(m)
        part = TaughtExamples(jnp.zeros(()), labels, m, weights)
        return distillation.divergence_from(config, n, part).mean()

    to_student, to_teacher = jax.grad(of, (0, 1))(n, m)
    assert np.abs(to_student).max() > 1e-3
    assert not np.any(to_teacher)


@pytest.mark.long
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weights", ["sample", "class_means"])
def test_a_batch_in_parts_makes_the_step_of_the_whole(name, weights):
    fields = dict(loss__name=name, loss__weights=weights, loss__gamma=0.5)
    whole, parts = (
        make(name="distillation", accumulate=count, **fields)[0] for count in (1, 4)
    )
    states = [r.step(r.init(jax.random.key(0)), taught()) for r in (whole, parts)]
    assert_trees_close(states[1][0].params, states[0][0].params, atol=1e-6)
    assert_trees_close(states[1][1], states[0][1], rtol=1e-5, atol=1e-6)


@pytest.mark.long
def test_warmup_is_a_share_an_epoch():
    recipe, _ = make(
        name="distillation", loss__name="kd", loss__warmup_epochs=4, loss__strength=0.5,
        loss__cross_entropy=0.1,
    )  # fmt: skip
    start = recipe.init(jax.random.key(0))
    for epoch, share in ((0, 0.25), (1, 0.5), (3, 1), (9, 1)):
        state = start.replace(step=jnp.int32(epoch * STEPS_PER_EPOCH))
        _, metrics = recipe.step(state, taught())
        expected = 0.1 * metrics["cross_entropy"]
        expected += 0.5 * share * metrics["distillation"]
        np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)


def test_the_class_means_are_the_teachers():
    recipe, task = make(name="distillation", loss__name="ikl")
    data = taught()
    state, _ = recipe.step(recipe.init(jax.random.key(0)), data)
    means = recipe.end_epoch(state).class_means
    temperature = task.config.loss.weight_temperature
    probabilities = jax.nn.softmax(data["teacher_logits"] / temperature)
    for label in np.unique(data["label"]):
        expected = np.asarray(probabilities)[np.asarray(data["label"]) == label].mean(0)
        np.testing.assert_allclose(means.mean[label], expected, atol=1e-6)
