"""Distances to the nearest misclassified input, over all examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from ikl_jax import attacks
from ikl_jax.attacks.ensemble import distances
from ikl_jax.attacks.ensemble.batches import Batches
from tests.ikl_jax.attacks.ensemble.problems import COUNT, data
from tests.ikl_jax.attacks.fab.test_hyperplane import smallest_step

STEPS = 8


@pytest.fixture(scope="module")
def found():
    return attacks.distances(*data(), targets=4, steps=STEPS)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_exact_on_a_linear_model(norm):
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((6, 3)).astype(np.float32)
    x = rng.random((10, 6)).astype(np.float32)
    labels = (x @ weight).argmax(1)
    labels[0] = (labels[0] + 1) % 3
    result = attacks.distances(
        lambda x: x @ weight, x, labels, norm=norm, targets=2, steps=20
    )
    expected = []
    for point, label in zip(x, labels, strict=True):
        normals = [weight[:, k] - weight[:, label] for k in {0, 1, 2} - {label}]
        steps = [
            smallest_step(point.astype(float), n.astype(float), float(point @ n), norm)
            for n in normals
        ]
        expected.append(min(steps))
    assert result[0] == 0
    assert (result[1:] >= np.array(expected[1:]) * (1 - 1e-4)).all()
    np.testing.assert_allclose(result[1:], expected[1:], rtol=0.02)


@pytest.mark.long
def test_they_are_of_the_nearest_of_all_targets(found):
    logits_fn, x, labels = data()
    each = [
        attacks.fab(logits_fn, x, labels, (labels + shift) % 5, steps=STEPS).distance
        for shift in range(1, 5)
    ]
    np.testing.assert_allclose(found, np.min(each, axis=0), rtol=1e-3)
    assert (found[:3] == 0).all()
    assert (
        attacks.distances(logits_fn, x, labels, targets=1, steps=STEPS) > found
    ).any()


@pytest.mark.long
def test_neither_batches_nor_devices_change_them(found):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    for changed in (
        {"batch_size": 7},
        {"batch_size": 16, "sharding": NamedSharding(mesh, PartitionSpec("data"))},
    ):
        shares = []
        result = attacks.distances(
            *data(), targets=4, steps=STEPS, report=shares.append, **changed
        )
        np.testing.assert_allclose(result, found, rtol=2e-3)
        assert shares == sorted(shares)
        assert shares[-1] == 1
        batches = Batches.of(changed["batch_size"], changed.get("sharding"))
        assert len(shares) == 4 * len([*batches.split(np.arange(COUNT - 3))])


def test_what_is_never_found_is_infinitely_far():
    _, x, labels = data()
    sure = jax.nn.one_hot(2, 5)[None] + 0 * jnp.zeros((1, 5))
    constant = lambda x: sure + 0 * x.reshape(len(x), -1)[:, :1]
    result = attacks.distances(constant, x, labels, steps=2)
    np.testing.assert_array_equal(result, np.where(labels == 2, np.inf, 0))


def test_a_distance_is_confirmed_by_a_clean_forward_pass(monkeypatch):
    logits_fn, x, labels = data(count=8)
    unchanged = lambda attack, inputs, rank, rows, batches: (
        inputs.x[rows], np.full(len(rows), 0.25, np.float32)
    )  # fmt: skip
    monkeypatch.setattr(distances, "_nearest", unchanged)
    right = np.asarray(logits_fn(jnp.asarray(x))).argmax(1) == labels
    assert 0 < right.sum() < len(x)
    np.testing.assert_array_equal(
        attacks.distances(logits_fn, x, labels, steps=1), np.where(right, np.inf, 0)
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"norm": "l3"}, "unknown norm 'l3'"),
        ({"targets": 0}, "targets must be > 0, got 0"),
        ({"steps": -1}, "steps must be >= 0, got -1"),
    ],
)
def test_bad_arguments(changed, message):
    with pytest.raises(ValueError, match=message):
        attacks.distances(*data(count=4), **changed)
