"""The gradients of the losses: against autodiff, and where they are stopped."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.lax import stop_gradient

import ikl_jax
from tests.ikl_jax.divergences.losses import (
    LOSSES,
    PER_EXAMPLE,
    WEIGHTS,
    every_loss,
    gradients,
    logits,
    rows,
)


def by_autodiff(name):
    """The losses again, as JAX would differentiate their definitions."""

    def softmax_ce(n, m, t=1.0, t_m=None):
        p = stop_gradient(jax.nn.softmax(m / (t_m or t)))
        return -jnp.sum(p * jax.nn.log_softmax(n / t), -1)

    def pairwise(n, m, w):
        w, d = stop_gradient(w).astype(n.dtype), m - n
        pairs = d[..., :, None] - d[..., None, :]
        weights = w[..., :, None] * w[..., None, :]
        return 0.25 * jnp.sum(weights * pairs**2, (-1, -2))

    p = jax.nn.softmax
    return {
        "kl": lambda n, m: jnp.sum(
            p(m / 2) * (jax.nn.log_softmax(m / 2) - jax.nn.log_softmax(n / 2)), -1
        ),
        "soft_ce": lambda n, m: softmax_ce(n, m, 2.0, 0.5),
        "wmse": lambda n, m: pairwise(n, m, rows(WEIGHTS, n)),
        "dkl": lambda n, m: (
            3.0 * pairwise(stop_gradient(n), m, p(m)) + 2.0 * softmax_ce(n, m)
        ),
        "ikl": lambda n, m: (
            20.0 * pairwise(n, m, rows(WEIGHTS, n)) + 4.0 * softmax_ce(n, m, 3.0)
        ),
        "ikl_sample": lambda n, m: 20.0 * pairwise(n, m, p(m)) + 4.0 * softmax_ce(n, m),
        "gkl_sample": lambda n, m: (
            2.0
            * pairwise(n, m, p(m) ** 0.3)
            / stop_gradient(jnp.mean(jnp.sum(p(m) ** 0.3, -1) ** 2))
            + 0.5 * softmax_ce(n, m)
        ),
        "kd": lambda n, m: (
            16.0
            * jnp.sum(
                stop_gradient(p(m / 4))
                * (
                    stop_gradient(jax.nn.log_softmax(m / 4)) - jax.nn.log_softmax(n / 4)
                ),
                -1,
            )
        ),
    }[name]


@pytest.mark.parametrize(
    "name", ["kl", "soft_ce", "wmse", "dkl", "ikl", "ikl_sample", "gkl_sample", "kd"]
)
def test_first_and_second_derivatives_equal_autodiff(name, x64):
    loss, _ = LOSSES[name]
    definition = by_autodiff(name)
    n, m = (x.astype(jnp.float64) for x in logits(2.0))
    direction = jax.random.normal(jax.random.key(9), (2, 6, 5), jnp.float64)

    def along(loss):
        def directional(n, m):
            grads = gradients(loss, n, m)
            return sum(jnp.vdot(d, g) for d, g in zip(direction, grads, strict=True))

        return directional

    for ours, expected in zip(
        gradients(loss, n, m), gradients(definition, n, m), strict=True
    ):
        np.testing.assert_allclose(ours, expected, atol=1e-10)
    second = jax.grad(along(loss), (0, 1))(n, m)
    for ours, expected in zip(
        second, jax.grad(along(definition), (0, 1))(n, m), strict=True
    ):
        np.testing.assert_allclose(ours, expected, atol=1e-9)


@pytest.mark.long
def test_gradients_reach_what_the_docstrings_say():
    n, m = logits()
    reaches = lambda loss: [bool(np.any(g)) for g in gradients(loss, n, m)]
    assert reaches(ikl_jax.kl_divergence) == [True, True]
    assert reaches(ikl_jax.soft_cross_entropy) == [True, False]
    assert reaches(lambda n, m: ikl_jax.weighted_mse(n, m, WEIGHTS)) == [True, True]
    assert reaches(lambda n, m: ikl_jax.dkl_loss(n, m, beta=0.0)) == [False, True]
    assert reaches(lambda n, m: ikl_jax.dkl_loss(n, m, alpha=0.0)) == [True, False]
    assert reaches(lambda n, m: ikl_jax.ikl_loss(n, m, beta=0.0)) == [True, True]
    assert reaches(lambda n, m: ikl_jax.ikl_loss(n, m, alpha=0.0)) == [True, False]
    assert reaches(ikl_jax.kd_loss) == [True, False]
    to_weights = jax.grad(lambda w: ikl_jax.ikl_loss(n, m, w).sum())(WEIGHTS)
    assert not np.any(to_weights)


def test_alpha_and_beta_can_be_traced_and_differentiated():
    n, m = logits()
    by_alpha = jax.jit(jax.grad(lambda a: ikl_jax.ikl_loss(n, m, alpha=a).sum()))(3.0)
    expected = ikl_jax.ikl_loss(n, m, alpha=1.0, beta=0.0).sum()
    np.testing.assert_allclose(by_alpha, expected, rtol=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_gamma_is_stopped(weights):
    n, m = logits()
    by_gamma = jax.grad(lambda g: ikl_jax.gkl_loss(n, m, weights, gamma=g).sum())
    assert by_gamma(0.5) == 0.0


def test_kl_and_dkl_differ_in_value_but_not_in_gradient():
    n, m = logits()
    assert not np.allclose(ikl_jax.dkl_loss(n, m), ikl_jax.kl_divergence(n, m))
    kl, dkl = (gradients(f, n, m) for f in (ikl_jax.kl_divergence, ikl_jax.dkl_loss))
    for ours, expected in zip(dkl, kl, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-6)


@every_loss
def test_a_mask_outside_keeps_gradients_clean(name):
    loss, _ = LOSSES[name]
    n, m = logits()
    keep = jnp.arange(6) < 4
    masked = lambda n, m: jnp.where(keep, loss(n, m), 0.0)
    if name in PER_EXAMPLE:
        for ours, full in zip(
            gradients(masked, n, m), gradients(loss, n, m), strict=True
        ):
            expected = np.where(np.asarray(keep)[:, None], full, 0.0)
            np.testing.assert_allclose(ours, expected, rtol=1e-6)
    nothing = lambda n, m: jnp.where(jnp.zeros(6, bool), loss(n, m), 0.0)
    for gradient in gradients(nothing, n, m):
        assert not np.any(gradient)


@pytest.mark.parametrize("large", [1234.56, 54321.0, 98765.4])
def test_one_class_with_all_weight_leaves_no_rounding_in_the_gradient(large):
    n, m = jnp.zeros(3), jnp.array([large, 0.0, 1.0])
    weights = jnp.array([1.0, 1e-6, 3e-6])
    ours = jax.grad(ikl_jax.weighted_mse, argnums=1)(n, m, weights)
    w, d = (np.asarray(array, np.float64) for array in (weights, m))
    exact = w.sum() * w * (d - (w * d).sum() / w.sum())
    np.testing.assert_allclose(ours, exact, rtol=1e-4)
