"""`apgd`: what it returns, and which arguments it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax.attacks.apgd import Apgd, apgd
from ikl_jax.attacks.common import losses
from ikl_jax.attacks.common.attack import Found
from tests.ikl_jax.attacks.apgd.problems import (
    DLR,
    NORMS,
    RADII,
    cnn_case,
)
from tests.ikl_jax.attacks.sizes import size


@pytest.mark.parametrize("norm", NORMS)
def test_images_stay_in_ball_and_box_and_are_what_is_said(norm):
    logits_fn, x, labels = cnn_case()
    found = apgd(
        logits_fn, x, labels, epsilon=RADII[norm], norm=norm, loss=DLR, steps=20,
        key=jax.random.key(0),
    )  # fmt: skip
    x_adv, broken = np.asarray(found.x_adv), np.asarray(found.broken)
    assert broken.any()
    assert not broken.all()
    assert (size(x_adv - x, norm) <= RADII[norm] * (1 + 1e-5)).all()
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    np.testing.assert_array_equal(jnp.argmax(logits_fn(x_adv), -1) != labels, broken)
    np.testing.assert_array_equal(x_adv[~broken], x[~broken])
    np.testing.assert_array_equal(size(x_adv - x, norm) > 0, broken)


@pytest.mark.long
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("loss", [DLR, losses.targeted_dlr])
def test_few_classes_and_flat_vectors(classes, loss):
    weights = jax.random.normal(jax.random.key(0), (10, classes))
    x = jax.random.uniform(jax.random.key(1), (8, 10), minval=0.3, maxval=0.7)
    logits_fn = lambda x: (x - 0.5) @ weights
    labels = jnp.argmax(logits_fn(x), -1)
    found = apgd(
        logits_fn, x, labels, epsilon=0.2, loss=loss, steps=10, key=jax.random.key(0)
    )
    slopes = weights.T[None] - weights.T[labels][:, None]
    optimum = 0.2 * jnp.abs(slopes).sum(-1) + jnp.sum(slopes * (x - 0.5)[:, None], -1)
    others = jnp.arange(classes)[None] != labels[:, None]
    if classes == 2:  # the only other class: the loss knows the best one
        np.testing.assert_array_equal(found.broken, (others & (optimum > 0)).any(-1))
    assert found.broken.any()


@pytest.mark.long
def test_a_gradient_that_is_not_a_number_spoils_nothing():
    logits_fn = lambda x: jnp.stack(
        [x[:, 0] + jnp.sqrt(x[:, 1] * 0.0), 0.55 + 0 * x[:, 0]], -1
    )
    x = jnp.array([[0.6, 0.5]])
    found = apgd(
        logits_fn, x, jnp.array([0]), epsilon=0.1, steps=5, key=jax.random.key(0)
    )
    assert found.broken.all()
    assert np.isfinite(found.x_adv).all()


@pytest.mark.long
def test_restarts_run_only_where_nothing_was_found(monkeypatch):
    calls = []

    def fake(self, x, labels, targets, keys):
        calls.append((np.asarray(x[:, 0]), targets, jax.random.key_data(keys)))
        return Found(x + 0.01 * len(calls), x[:, 0] <= 0.2 * len(calls))

    monkeypatch.setattr(Apgd, "__call__", fake)
    x = jnp.array([[0.9, 0.0], [0.1, 0.0], [0.3, 0.0], [0.7, 0.0], [0.5, 0.8]])
    logits_fn = lambda x: jnp.concatenate([x, 0.1 + 0 * x[:, :1]], -1)
    run = lambda restarts: apgd(
        logits_fn, x, jnp.zeros(5, int), epsilon=0.1, restarts=restarts,
        key=jax.random.key(0),
    )  # fmt: skip
    found = run(4)
    rows = [np.unique(x).tolist() for x, _, _ in calls]
    expected = [[0.1, 0.3, 0.7, 0.9], [0.3, 0.7, 0.9], [0.7, 0.9], [0.7, 0.9]]
    assert [np.round(row, 3).tolist() for row in rows] == expected
    assert [len(x) for x, _, _ in calls] == [5, 5, 2, 2]
    np.testing.assert_array_equal(found.broken, [False, True, True, True, True])
    np.testing.assert_array_equal(found.x_adv[4], x[4])  # wrong as it is
    assert (calls[0][1] == 2).all()  # the runner-up
    assert (calls[2][2] != calls[3][2]).any()
    calls.clear()
    run(1)
    assert len(calls) == 1


@pytest.mark.long
def test_nothing_to_attack():
    logits_fn, x, labels = cnn_case(batch=2)
    for rows in (slice(0, 2), slice(0, 0)):
        found = apgd(
            logits_fn, x[rows], labels[rows] ^ 1, epsilon=0.1, key=jax.random.key(0)
        )
        assert found.broken.all()
        np.testing.assert_array_equal(found.x_adv, x[rows])


X = jnp.full((3, 4), 0.5)

BAD_INPUT = {
    "epsilon": (dict(epsilon=0.0), ValueError, "epsilon must be > 0, got 0"),
    "steps": (dict(steps=-1), ValueError, "steps must be >= 0, got -1"),
    "restarts": (dict(restarts=0), ValueError, "restarts must be > 0, got 0"),
    "norm": (dict(norm="Linf"), ValueError, "unknown norm 'Linf'; did you mean 'linf'"),
    "x outside": (dict(x=X + 1), ValueError, r"x must lie within bounds \[0.0, 1.0\]"),
    "bytes": (dict(x=jnp.ones((3, 4), int)), TypeError, "x must be floating"),
    "labels": (dict(labels=jnp.arange(3) + 2), ValueError, r"labels must lie in \[0, 4\)"),
    "labels' shape": (dict(labels=jnp.arange(2)), ValueError, r"shape \(3,\).* got \(2,\)"),
    "labels' type": (dict(labels=jnp.ones(3)), TypeError, "labels must be integers"),
    "targets": (dict(targets=jnp.arange(3) - 1), ValueError, r"targets must lie in"),
    "targets' shape": (dict(targets=jnp.arange(2)), ValueError, r"targets must have shape \(3,\).* got \(2,\)"),
    "keys": (dict(key=jax.random.split(jax.random.key(0), 2)), ValueError, "3 keys"),
    "logits": (dict(logits_fn=lambda x: x.sum(-1)), ValueError, "a row of logits"),
    "loss": (dict(loss=lambda z, y, t: z.sum()), ValueError, "one value per example"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input(name):
    changed, error, message = BAD_INPUT[name]
    arguments = dict(
        logits_fn=lambda x: x, x=X, labels=jnp.zeros(3, int), epsilon=0.1, steps=1,
        key=jax.random.key(0),
    ) | changed  # fmt: skip
    positional = [arguments.pop(key) for key in ("logits_fn", "x", "labels")]
    with pytest.raises(error, match=message):
        apgd(*positional, **arguments)


def test_not_inside_of_jit():
    run = lambda x: apgd(
        lambda x: x, x, jnp.zeros(3, int), epsilon=0.1, key=jax.random.key(0)
    )
    with pytest.raises(TypeError, match="outside of jit"):
        jax.jit(run)(X)
