"""The measures margins and features on a small network, and what they refuse."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from configs import base
from ikl_jax import models
from tests.conftest import small_images
from train.base.errors import UserError
from train.data.splits import DataSet, InMemory
from train.devices import sharding
from train.evaluation.judgement import Options
from train.evaluation.measures import judging, margins, registry
from train.evaluation.measures.context import Context
from train.evaluation.target import Target
from train.recipes.state import Weights

MEASURES = [registry.MEASURES[name] for name in ("margins", "features")]


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """Weights as they begin; all 40 training labels are right, and half of 20 others."""
    model = models.create("cnn_4", 4)
    variables = model.init(jax.random.key(3), jnp.zeros((1, 12, 12, 1)))
    images = small_images(channels=1)[0][:60]
    predicted = np.asarray(model.apply(variables, images / np.float32(255))).argmax(1)
    labels = np.where(np.arange(60) < 50, predicted, (predicted + 1) % 4)
    train, test = (
        InMemory(images[rows], labels[rows].astype(np.int32))
        for rows in (slice(40), slice(40, 60))
    )
    config = base.get_config()
    config.attack.epsilon = 0.1
    config.evaluation.update({"batch_size": 16, "steps": 1, "restarts": 1})
    mesh = sharding.create_mesh()
    weights = jax.device_put(
        Weights(variables["params"], {}), sharding.replicated(mesh)
    )
    return Target(
        config, DataSet(train, test, 4, (12, 12, 1)), model, weights, mesh,
        tmp_path_factory.mktemp("margins"), "last weights of step 1",
        {"model": "cnn_4", "dtype": "float32", "weights": "last", "step": 1}, "small",
    )  # fmt: skip


def judged(target, **options):
    own = judging.values(MEASURES, {"distances": 0, "map_examples": 0})
    console = Console(quiet=True)
    return [*judging.judge(MEASURES, target, Options(**options), own, console)]


def test_both_parts_are_measured(target):
    margins, features = judged(target)
    found, arrays = margins.results["found"], margins.per_example
    assert found["training"]["examples"] == found["test"]["examples"] == 20
    assert found["training"]["natural_accuracy"] == 1
    assert found["test"]["natural_accuracy"] == 0.5
    assert found["gap"]["natural"] == 0.5
    assert (
        found["means"]["logit_training_adversarial"]
        < found["means"]["logit_training_natural"]
    )
    # Every second training example: they are spread over the part.
    np.testing.assert_array_equal(arrays["training_index"], np.arange(0, 40, 2))
    labels = target.data.train.labels[arrays["training_index"]]
    np.testing.assert_array_equal(arrays["training_label"], labels)
    np.testing.assert_array_equal(arrays["training_logits"].argmax(1), labels)
    assert margins.arguments["epsilon"] == 0.1
    assert "distance_norm" not in margins.arguments
    moved = features.per_example["moved"]
    assert features.results["found"]["moved"]["mean"] == pytest.approx(moved.mean())
    assert (moved > 0).all()


def test_without_an_attack_the_natural_half_remains(target):
    margins, features = judged(target, restarts=0, num_examples=8)
    assert margins.arguments["attack"] == "none"
    assert set(margins.results["found"]["gap"]) == {"natural"}
    assert "training_adversarial_logits" not in margins.per_example
    assert "adversarial" not in features.results["found"]


def test_the_record_depends_on_the_training_part(target):
    other = dataclasses.replace(target.data, train=target.data.test)
    context = lambda data: Context(
        dataclasses.replace(target, data=data), Options(),
        {"distances": 0}, Console(quiet=True), features=False,
    )  # fmt: skip
    ours, theirs = (
        margins.MARGINS.prepare(context(data)).arguments
        for data in (target.data, other)
    )
    assert ours["training_fingerprint"] != theirs["training_fingerprint"]
    nothing = dataclasses.replace(
        target.data,
        train=InMemory(np.zeros((0, 12, 12, 1), np.uint8), np.zeros(0, int)),
    )
    with pytest.raises(UserError, match="small has no training examples"):
        margins.MARGINS.prepare(context(nothing))


@pytest.mark.parametrize("name", ["distances", "map_examples"])
def test_counts_are_not_negative(name):
    with pytest.raises(UserError, match=f"{name} must be >= 0, got -1"):
        judging.values(MEASURES, {name: -1})
