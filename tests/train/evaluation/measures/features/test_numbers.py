"""What a record says of features, and the map of a measure."""

import json
import types

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.base.errors import UserError
from train.evaluation.measures import features
from train.evaluation.measures.features import numbers
from train.evaluation.outputs import Outputs
from train.recipes.state import Weights

NAMES = ("shirt", "shoe", "bag")


def outputs():
    """Two classes of three, and the features after an attack that moves each by 50."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 2], [6, 4])
    before = 10.0 * labels[:, None] + rng.standard_normal((10, 2))
    logits = np.eye(3)[labels]
    natural = Outputs(np.arange(10), labels, logits, before)
    return natural, natural._replace(features=before + np.array([30.0, 40.0]))


def test_the_numbers_of_an_attack_that_shifts_all_features():
    natural, adversarial = outputs()
    found = numbers.found(
        natural.labels, natural.features, adversarial.features, NAMES, 3
    )
    assert found["features"] == 2
    assert found["moved"] == {
        "mean": pytest.approx(50.0),
        "median": pytest.approx(50.0),
    }
    between = found["natural"]["between"]
    assert found["moved_relative"] == pytest.approx(50.0 / between)
    # A shift moves the class means too.
    for name, value in found["natural"].items():
        assert found["adversarial"][name] == pytest.approx(value)
    assert found["nearest_natural_mean"] == 0.4  # all go beyond the second class
    rows = found["by_class"]
    assert [row["class_name"] for row in rows] in (["shirt", "bag"], ["bag", "shirt"])
    assert rows[0]["within"] > rows[1]["within"]
    assert all(row["moved"] == pytest.approx(50.0) for row in rows)
    json.dumps(found, allow_nan=False)


def test_without_an_attack_and_with_one_class():
    natural, _ = outputs()
    found = numbers.found(natural.labels, natural.features, None, None, 3)
    assert set(found) == {"features", "natural", "by_class"}
    found = numbers.found(
        np.zeros(10, int), natural.features, natural.features, None, 3
    )
    assert found["natural"]["between"] is None
    assert found["moved_relative"] is None
    json.dumps(found, allow_nan=False)


def test_a_record_names_the_twenty_least_compact_classes():
    labels = np.repeat(np.arange(30), 2)
    sides = np.tile([-1.0, 1.0], 30) * (labels + 1)
    rows = numbers.found(labels, sides[:, None], None, None, 30)["by_class"]
    assert [row["class"] for row in rows] == list(range(29, 9, -1))


def test_a_map_of_some_of_the_images():
    natural, adversarial = outputs()
    about, arrays = features.mapped(natural, adversarial, 5, seed=3)
    assert about == {"map": {"images": 5, "seed": 3}}
    np.testing.assert_array_equal(arrays["map_index"], [0, 2, 4, 6, 8])
    np.testing.assert_array_equal(arrays["map_label"], natural.labels[::2])
    assert arrays["map_natural"].shape == arrays["map_adversarial"].shape == (5, 2)
    _, arrays = features.mapped(natural, None, 5, seed=3)
    assert "map_adversarial" not in arrays


def test_no_map_is_asked_for_or_possible():
    natural, adversarial = outputs()
    assert features.mapped(natural, adversarial, 0, seed=0) == ({}, {})
    equal = natural._replace(features=np.ones((10, 2)))
    about, arrays = features.mapped(equal, equal, 5, seed=0)
    assert about["map"]["images"] == 0
    assert "all are equal" in about["map"]["reason"]
    assert arrays == {}


def test_a_model_without_a_classifier_is_refused_before_any_work():
    class Pooled(nn.Module):
        @nn.compact
        def __call__(self, x, *, train=False):
            return jnp.mean(nn.Conv(3, (1, 1))(x), axis=(1, 2))

    shape = (4, 4, 1)
    variables = jax.eval_shape(Pooled().init, jax.random.key(0), jnp.zeros((1, *shape)))
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), variables)
    target = types.SimpleNamespace(
        model=Pooled(), weights=Weights(variables["params"], {}),
        data=types.SimpleNamespace(image_shape=shape),
    )  # fmt: skip
    with pytest.raises(UserError, match=r"no features: it needs an nn.Dense of 3"):
        features.check_features(target)
