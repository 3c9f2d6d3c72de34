"""Runs of a recipe whose batches also have examples of another stream."""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from configs import digits_ikl_at
from tests.support.commands import metrics_of
from train import cli
from train.base.errors import UserError
from train.data.pipeline import Stream
from train.data.splits import InMemory
from train.devices.preemption import Preempted, Watch
from train.experiment import run
from train.planning import plan
from train.recipes import RECIPES, recipe
from train.recipes.accumulation import Accumulation, Outcome
from train.recipes.state import Weights
from train.training import loop

BATCH, STEPS = 32, 8  # two epochs of 4 steps; the last batch of each has 16 examples
SHAPE = (12, 12, 1)


def build(task, seen):
    """Cross-entropy of the labelled images and entropy of twice as many unlabelled."""
    accumulation = Accumulation.of(task)

    def step(state, batch):
        seen[tuple(sorted((name, rows.shape) for name, rows in batch.items()))] += 1

        def loss_fn(params, part):
            weights = Weights(params, state.batch_stats)
            images = [part["image"], part["unlabelled_image"]]
            x = recipe.to_pixels(jnp.concatenate(images))
            logits, batch_stats = recipe.train_logits(task.model, weights, x)
            labelled, unlabelled = jnp.split(logits, [len(part["image"])])
            loss = recipe.cross_entropy(labelled, part["label"], task.num_classes, 0.0)
            log_p = jax.nn.log_softmax(unlabelled)
            entropy = -jnp.mean(jnp.sum(jnp.exp(log_p) * log_p, axis=-1))
            metrics = {"loss": loss, "entropy": entropy}
            return loss + 0.1 * entropy, Outcome(metrics, batch_stats)

        parts = accumulation.split(batch)
        grads, outcome = accumulation.gradient(loss_fn, state.params, parts)
        state = state.apply_gradients(grads=grads, batch_stats=outcome.batch_stats)
        return state, outcome.metrics

    return task.finish(step, uses_class_means=False)


def twice_as_many(data, config):
    stream = Stream(data.train, config.data, 2 * config.batch_size, labelled=False)
    return {"unlabelled": stream}


@pytest.fixture
def register(monkeypatch):
    """Registers the recipe with these streams; counts the shapes of traced batches."""

    def registered(streams=twice_as_many):
        seen = Counter()
        entry = recipe.Recipe("toy", lambda task: build(task, seen), streams=streams)
        monkeypatch.setitem(RECIPES, "toy", entry)
        return seen

    return registered


@pytest.fixture
def config(small_source):
    config = digits_ikl_at.get_config("natural,quick")
    config.recipe, config.batch_size, config.log_every = "toy", BATCH, 1
    config.data.source, config.data.drop_remainder = small_source, False
    config.evaluation.restarts = 0
    return config


def go(config, workdir):
    return loop.train(config, workdir, Console(quiet=True))


def shapes(labelled, unlabelled):
    """Of a batch's columns: the stream's labels are not among them."""
    return (
        ("image", (labelled, *SHAPE)), ("label", (labelled,)),
        ("unlabelled_image", (unlabelled, *SHAPE)),
    )  # fmt: skip


def check_same_end(config, workdir, expected):
    assert metrics_of(workdir) == metrics_of(expected)
    built = run.build(config)
    ours, theirs = (
        jax.tree.leaves(run.newest_state(built, folder, pytest.fail).weights)
        for folder in (workdir, expected)
    )
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.long
def test_a_stopped_run_goes_on_to_the_same_end(tmp_path, monkeypatch, register, config):
    seen = register()
    go(config, tmp_path / "whole")
    assert {*seen} == {shapes(32, 64), shapes(16, 64)}
    monkeypatch.setattr(Watch, "requested", lambda watch, step: step == 3)
    with pytest.raises(Preempted):
        go(config, tmp_path / "stopped")
    monkeypatch.setattr(Watch, "requested", lambda watch, step: False)
    assert len(metrics_of(tmp_path / "stopped")) == 2
    result = go(config, tmp_path / "stopped")
    assert result["steps"] == STEPS
    check_same_end(config, tmp_path / "stopped", tmp_path / "whole")


@pytest.mark.long
def test_the_stream_is_divided_into_parts_as_the_batch_is(tmp_path, register, config):
    """So the means over two parts are those of the whole batch, up to rounding."""
    register()
    config.epochs, config.data.drop_remainder, logged = 1, True, []
    for parts in (1, 2):
        config.accumulate = parts
        go(config, tmp_path / str(parts))
        lines = metrics_of(tmp_path / str(parts))
        logged.append([(n["loss"], n["entropy"]) for n in lines if "loss" in n])
    whole, in_parts = np.array(logged)
    assert whole.shape == (3, 2)
    np.testing.assert_allclose(in_parts, whole, rtol=1e-4)


def test_a_plan_counts_the_stream(capsys, register, config):
    """Three times the examples of a plain recipe, and so three times the operations."""
    seen = register()
    planned = plan.plan(config)
    assert {*seen} == {shapes(32, 64)}
    config.recipe = "supervised"
    plain = plan.plan(config)
    assert planned.flops == 3 * plain.flops
    assert planned.batch_size == plain.batch_size == BATCH
    flags = [f"--config.{name}={value}" for name, value in (
        ("recipe", "toy"), ("data.source", config.data.source),
    )]  # fmt: skip
    path = "configs/digits_ikl_at.py:natural,quick"
    assert cli.main(["train", f"--config={path}", "--plan", *flags]) == 0
    assert "operations a step" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("size", "changed", "message"),
    [
        (12, {}, "'unlabelled' must be a multiple of the 8 devices, got 12"),
        (63, {"accumulate": 2},
         "'unlabelled' must be a multiple of accumulate=2, got a batch of 63"),
        (24, {"accumulate": 2},
         r"'unlabelled' / 2 \(accumulate\) must be a multiple of the 8 devices, got 12"),
        (24, {"model.name": "wide_resnet_10_1", "model.bn_groups": 16},
         "'unlabelled' must be a multiple of model.bn_groups=16, got 24"),
    ],
)  # fmt: skip
def test_a_stream_that_cannot_be_divided(
    tmp_path, register, config, size, changed, message
):
    register(lambda data, config: {"unlabelled": Stream(data.train, config.data, size)})
    config.update_from_flattened_dict(changed)
    with pytest.raises(UserError, match=f"^batch_size of the stream {message}$"):
        go(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_go_on_with_other_examples(
    tmp_path, monkeypatch, register, config
):
    register()
    monkeypatch.setattr(Watch, "requested", lambda watch, step: step == 3)
    with pytest.raises(Preempted):
        go(config, tmp_path)

    def others(data, config):
        split = InMemory(np.zeros((9, *SHAPE), np.uint8), np.zeros(9, np.int32))
        return {"unlabelled": Stream(split, config.data, 64, labelled=False)}

    register(others)
    with pytest.raises(UserError, match="data set has changed since step 2 was saved"):
        go(config, tmp_path)


@pytest.mark.long
def test_a_run_is_reopened_without_its_streams(tmp_path, register, config):
    """To be evaluated, on devices that need not divide the streams' sizes."""
    register()
    config.epochs = 1
    go(config, tmp_path)
    register(lambda data, config: {"unlabelled": Stream(data.train, config.data, 1)})
    assert not run.reopen(tmp_path).streams
