"""Adversarial weight perturbation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import awp

KEYS = jax.random.split(jax.random.key(0), 4)
PARAMS = {
    "conv": {"kernel": jax.random.normal(KEYS[0], (3, 3, 2, 4)), "bias": jnp.ones(4)},
    "dense": {"kernel": jax.random.normal(KEYS[1], (8, 2)), "bias": jnp.ones(2)},
}
GRADS = jax.tree.map(lambda p: jnp.cos(7 * p), PARAMS)


def test_each_matrix_moves_by_gamma_times_its_norm_along_its_gradient():
    moved = awp.perturb(PARAMS, GRADS, 0.01)
    for layer in PARAMS:
        before, grad = (np.asarray(t[layer]["kernel"]) for t in (PARAMS, GRADS))
        step = np.asarray(moved[layer]["kernel"]) - before
        np.testing.assert_allclose(
            np.linalg.norm(step), 0.01 * np.linalg.norm(before), rtol=1e-4
        )
        cosine = (step * grad).sum() / np.linalg.norm(step) / np.linalg.norm(grad)
        np.testing.assert_allclose(cosine, 1.0, rtol=1e-5)


def test_vectors_stay():
    moved = awp.perturb(PARAMS, GRADS, 0.5)
    for layer in PARAMS:
        np.testing.assert_array_equal(moved[layer]["bias"], PARAMS[layer]["bias"])


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e30])
def test_zero_tiny_and_huge_gradients(scale):
    moved = awp.perturb(PARAMS, jax.tree.map(lambda g: scale * g, GRADS), 0.01)
    expected = PARAMS if scale == 0.0 else awp.perturb(PARAMS, GRADS, 0.01)
    for ours, leaf in zip(
        jax.tree.leaves(moved), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(ours, leaf, rtol=1e-4, atol=1e-5)


def test_gamma_zero_changes_nothing_and_dtypes_stay():
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), PARAMS)
    grads = jax.tree.map(lambda p: p.astype(jnp.bfloat16), GRADS)
    moved = jax.jit(awp.perturb)(params, grads, 0.0)
    for ours, leaf in zip(jax.tree.leaves(moved), jax.tree.leaves(params), strict=True):
        assert ours.dtype == leaf.dtype
        np.testing.assert_array_equal(ours, leaf)


def test_the_loss_rises():
    x = jax.random.normal(KEYS[2], (16, 8))
    loss = lambda p: jnp.mean(jnp.square(x @ p["dense"]["kernel"]))
    moved = awp.perturb(PARAMS, jax.grad(loss)(PARAMS), 0.01)
    assert loss(moved) > loss(PARAMS)


def test_bad_input():
    with pytest.raises(ValueError, match="gamma must be >= 0, got -1"):
        awp.perturb(PARAMS, GRADS, -1.0)
    other = jax.tree.map(lambda g: g[..., :1], GRADS)
    with pytest.raises(
        ValueError, match=r"params conv/bias \(4,\), grads conv/bias \(1,\)"
    ):
        awp.perturb(PARAMS, other, 0.1)
    with pytest.raises(ValueError, match="dense"):
        awp.perturb(PARAMS, {"conv": GRADS["conv"]}, 0.1)
