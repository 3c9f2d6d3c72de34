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


STACK = {
    "blocks": {
        "kernel": jax.random.normal(KEYS[3], (3, 4, 4))
        * 10.0 ** jnp.arange(3)[:, None, None],
        "bias": jnp.ones((3, 4)),
    },
    "head": {"kernel": jnp.ones((4, 2)), "bias": jnp.ones(2)},
}
STACK_GRADS = jax.tree.map(lambda p: jnp.sin(5 * p), STACK)


def layer(tree, i, axis=0):
    return {name: jnp.take(leaf, i, axis) for name, leaf in tree["blocks"].items()}


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_stacked_layers_move_like_layers_by_themselves(axis):
    place = lambda leaf: jnp.moveaxis(leaf, 0, axis)
    params, grads = (
        tree | {"blocks": jax.tree.map(place, tree["blocks"])}
        for tree in (STACK, STACK_GRADS)
    )
    moved = awp.perturb(
        params, grads, 0.01, stacked_axes={"blocks": axis, "head": None}
    )
    alone = awp.perturb(STACK["head"], STACK_GRADS["head"], 0.01)
    np.testing.assert_array_equal(moved["head"]["kernel"], alone["kernel"])
    for i in range(3):
        alone = awp.perturb(layer(STACK, i), layer(STACK_GRADS, i), 0.01)
        for name, leaf in layer(moved, i, axis).items():
            np.testing.assert_allclose(leaf, alone[name], rtol=1e-6)


def test_layers_may_be_stacked_along_several_axes_and_one_value_serves_all():
    twice = lambda tree: jax.tree.map(lambda leaf: jnp.stack([leaf, 3 * leaf]), tree)
    blocks, grads = STACK["blocks"], STACK_GRADS["blocks"]
    moved = awp.perturb(twice(blocks), twice(grads), 0.01, stacked_axes=(0, 1))
    once = awp.perturb(blocks, grads, 0.01, stacked_axes=0)
    for name, leaf in twice(once).items():
        np.testing.assert_allclose(moved[name], leaf, rtol=1e-6)


def test_a_mask_decides_which_leaves_move():
    masks = (
        {"blocks": False, "head": {"kernel": False, "bias": True}},
        lambda params: {"blocks": False, "head": {"kernel": False, "bias": True}},
    )
    for mask in masks:
        moved = awp.perturb(STACK, STACK_GRADS, 0.1, mask=mask)
        still = jax.tree.map(lambda a, b: bool((a == b).all()), moved, STACK)
        assert still == {
            "blocks": {"kernel": True, "bias": True},
            "head": {"kernel": True, "bias": False},
        }


def test_a_leaf_of_zeros_stays_and_has_derivatives():
    def total(gamma, leaf):
        moved = awp.perturb({"a": leaf}, {"a": jnp.ones((2, 2))}, gamma)
        return jnp.sum(moved["a"])

    by_gamma, by_leaf = jax.grad(total, argnums=(0, 1))(0.1, jnp.zeros((2, 2)))
    assert by_gamma == 0.0
    np.testing.assert_array_equal(by_leaf, 1.0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(stacked_axes=2), ValueError, r"got 2 for params blocks/bias .*\(3, 4\)"),
        (dict(stacked_axes={"blocks": 0}), ValueError, "must be a prefix of params"),
        (dict(stacked_axes=0.5), TypeError, "stacked_axes must be integers, got 0.5"),
        (dict(mask=1), TypeError, "mask must be of booleans, got 1 for blocks/bias"),
    ],
)
def test_bad_axes_and_masks(options, error, message):
    with pytest.raises(error, match=message):
        awp.perturb(STACK, STACK_GRADS, 0.1, **options)
