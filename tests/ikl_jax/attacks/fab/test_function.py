"""`fab`: what it returns, and which arguments it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import attacks
from tests.conftest import cases
from tests.ikl_jax.attacks.fab.problems import (
    CLASSES,
    FEATURES,
    NORMS,
    ROWS,
    X,
    linear,
    mlp,
    other_classes,
    predictions,
)
from tests.ikl_jax.attacks.sizes import size as sizes


@pytest.mark.long
@pytest.mark.parametrize("norm", cases(NORMS, quick=["l2"]))
def test_where_loops_are_quick_classes_are_looped_over(norm, request):
    labels = predictions(mlp, X)
    find = lambda: attacks.fab(mlp, X, labels, norm=norm, steps=3)
    side_by_side = find()
    request.getfixturevalue("accelerators_form")
    np.testing.assert_allclose(find().distance, side_by_side.distance, rtol=1e-4)


@pytest.mark.parametrize("norm", NORMS)
def test_what_is_found_is_wrong_in_the_box_and_as_far_as_said(norm):
    labels = predictions(mlp, X)
    found = attacks.fab(mlp, X, labels, other_classes(labels), norm=norm, steps=15)
    x_adv = np.asarray(found.x_adv)
    met = np.isfinite(found.distance)
    assert met.sum() > ROWS / 2
    assert ((x_adv >= 0) & (x_adv <= 1)).all()
    assert (predictions(mlp, x_adv)[met] != labels[met]).all()
    np.testing.assert_allclose(
        sizes(x_adv - X, norm)[met], found.distance[met], rtol=1e-5
    )
    np.testing.assert_array_equal(x_adv[~met], X[~met])


def test_no_steps_find_nothing():
    labels = predictions(linear, X)
    found = attacks.fab(linear, X, labels, other_classes(labels), steps=0)
    assert np.isinf(found.distance).all()
    np.testing.assert_array_equal(found.x_adv, X)


@pytest.mark.parametrize("norm", cases(NORMS, quick=["l2"]))
def test_an_example_depends_on_neither_batch_nor_order(norm):
    labels = predictions(mlp, X)
    targets = other_classes(labels)
    whole = attacks.fab(mlp, X, labels, targets, norm=norm, steps=10)
    order = np.random.default_rng(1).permutation(ROWS)[: ROWS // 2]
    part = attacks.fab(
        mlp, X[order], labels[order], targets[order], norm=norm, steps=10
    )
    np.testing.assert_allclose(part.distance, whole.distance[order], rtol=2e-3)
    np.testing.assert_allclose(part.x_adv, whole.x_adv[order], atol=2e-3)


@pytest.mark.parametrize("shape", [(), (3,), (4, 4, 2)])
def test_inputs_of_any_shape(shape):
    rng = np.random.default_rng(1)
    x = rng.random((6, *shape)).astype(np.float32)
    slope = np.asarray(rng.standard_normal(shape), np.float32)

    def two_classes(x):
        score = jnp.sum((x - 0.5) * slope[None], axis=tuple(range(1, x.ndim)))
        return jnp.stack([score, -score], axis=1)

    labels = predictions(two_classes, x)
    found = attacks.fab(two_classes, x, labels, 1 - labels, steps=5)
    assert np.isfinite(found.distance).all()
    assert found.x_adv.shape == x.shape
    assert (predictions(two_classes, found.x_adv) != labels).all()


def test_under_jit_it_is_the_same_and_lets_no_gradient_through():
    labels = predictions(mlp, X)
    targets = other_classes(labels)
    plain = attacks.fab(mlp, X, labels, targets, steps=5)
    inside = jax.jit(lambda x: attacks.fab(mlp, x, labels, targets, steps=5))(X)
    np.testing.assert_allclose(inside.distance, plain.distance, rtol=1e-4)

    def total(x, scale):
        scaled = lambda x: scale * mlp(x)
        return attacks.fab(scaled, x, labels, targets, steps=2).x_adv.sum()

    gradients = jax.grad(total, argnums=(0, 1))(jnp.asarray(X), 1.0)
    assert not any(np.any(gradient) for gradient in gradients)


def test_bfloat16_inputs_are_searched_in_float32():
    labels = predictions(linear, X)
    x = jnp.asarray(X).astype(jnp.bfloat16)
    found = attacks.fab(linear, x, labels, other_classes(labels), steps=2)
    assert found.x_adv.dtype == found.distance.dtype == jnp.float32


LABELS = np.arange(ROWS) % CLASSES

BAD_INPUT = {
    "norm": (dict(norm="l3"), ValueError, "unknown norm 'l3'; did you mean 'l2'"),
    "steps": (dict(steps=-1), ValueError, "steps must be >= 0, got -1"),
    "alpha": (dict(alpha_max=1.5), ValueError, r"alpha_max must lie in \[0, 1\], got 1.5"),
    "beta": (dict(beta=-0.5), ValueError, r"beta must lie in \[0, 1\], got -0.5"),
    "eta": (dict(eta=0.0), ValueError, "eta must be > 0, got 0"),
    "x outside": (dict(x=X + 1), ValueError, r"x must lie within bounds \[0.0, 1.0\]"),
    "x of bytes": (dict(x=np.zeros((ROWS, FEATURES), np.uint8)), TypeError, "x must be floating"),
    "no batch": (dict(x=np.float32(0.5)), ValueError, "x must have 1 or more dimensions"),
    "labels too large": (dict(labels=LABELS + 1), ValueError, r"labels must lie in \[0, 5\), got values from 1 to 5"),
    "targets too large": (dict(targets=LABELS + 1), ValueError, r"targets must lie in \[0, 5\), got values from 1 to 5"),
    "targets of floats": (dict(targets=LABELS * 1.0), TypeError, "targets must be integers, got float64"),
    "equal": (dict(targets=LABELS), ValueError, "targets must differ from labels, got equal ones in 12 of 12 rows"),
    "few labels": (dict(labels=LABELS[:3]), ValueError, r"labels must have shape \(12,\).* got \(3,\)"),
    "targets of rows": (dict(targets=LABELS[:, None]), ValueError, r"targets must have shape \(12,\).* got \(12, 1\)"),
    "no logits": (dict(logits_fn=lambda x: x.sum(1)), ValueError, "a row of logits"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input(name):
    changed, error, message = BAD_INPUT[name]
    arguments = dict(
        logits_fn=linear, x=X, labels=LABELS, targets=(LABELS + 1) % CLASSES
    )
    arguments |= changed
    positional = [arguments.pop(k) for k in ("logits_fn", "x", "labels", "targets")]
    with pytest.raises(error, match=message):
        attacks.fab(*positional, **arguments)
