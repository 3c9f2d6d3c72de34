"""The values of the losses: definitions, invariances, extreme and empty input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ikl_jax
from tests.ikl_jax.divergences.losses import (
    LOSSES,
    PER_EXAMPLE,
    every_loss,
    gradients,
    logits,
)
from tests.support.references import reference


@every_loss
def test_equals_the_pairwise_definition(name):
    n, m = logits(3.0)
    loss, definition = LOSSES[name]
    expected = definition(np.asarray(n, np.float64), np.asarray(m, np.float64))
    np.testing.assert_allclose(loss(n, m), expected, rtol=3e-5, atol=1e-6)


@every_loss
def test_ignores_shifts_of_the_logits(name):
    loss, _ = LOSSES[name]
    n, m = logits()
    np.testing.assert_allclose(loss(n + 8.0, m - 4.0), loss(n, m), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["kl", "soft_ce", "dkl", "ikl_sample", "gkl_sample"])
def test_ignores_the_order_of_the_classes(name):
    loss, _ = LOSSES[name]
    n, m = logits()
    order = jnp.array([3, 1, 4, 0, 2])
    shuffled = loss(n[:, order], m[:, order])
    np.testing.assert_allclose(shuffled, loss(n, m), rtol=1e-5)


@pytest.mark.parametrize("name", PER_EXAMPLE)
def test_any_number_of_leading_dimensions(name):
    loss, _ = LOSSES[name]
    n, m = logits()
    folded = loss(n.reshape(2, 3, 5), m.reshape(2, 3, 5))
    assert folded.shape == (2, 3)
    np.testing.assert_allclose(folded.ravel(), loss(n, m), rtol=1e-5)
    np.testing.assert_allclose(loss(n[0], m[0]), loss(n, m)[0], rtol=1e-5)


@every_loss
@pytest.mark.parametrize("scale", [1e-6, 1e4])
def test_extreme_logits_stay_finite(name, scale):
    loss, _ = LOSSES[name]
    for n, m in (logits(scale), logits(scale)[::-1], [logits(scale)[0]] * 2):
        assert np.isfinite(loss(n, m)).all()
        for gradient in gradients(loss, n, m):
            assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", ["kl", "kd", "wmse", "dkd"])
def test_divergences_are_never_negative_and_zero_at_equality(name):
    loss, _ = LOSSES[name]
    n, m = logits(1e-3)
    assert (np.asarray(loss(n, m)) > 0).all()
    np.testing.assert_allclose(loss(m, m), 0.0, atol=1e-12)


def test_kl_is_accurate_where_the_two_are_close():
    n, m = logits(1e-3)
    expected = reference.kl(np.asarray(n, np.float64), np.asarray(m, np.float64))
    assert expected.max() < 1e-5
    np.testing.assert_allclose(ikl_jax.kl_divergence(n, m), expected, rtol=1e-4)


@every_loss
def test_bfloat16_is_computed_in_float32(name):
    loss, _ = LOSSES[name]
    n, m = logits(3.0, dtype=jnp.bfloat16)
    assert loss(n, m).dtype == jnp.bfloat16
    exact = loss(n.astype(jnp.float32), m.astype(jnp.float32))
    np.testing.assert_allclose(
        loss(n, m).astype(jnp.float32), exact, rtol=2**-8, atol=1e-6
    )
    for gradient in gradients(loss, n, m):
        assert gradient.dtype == jnp.bfloat16


@every_loss
def test_numpy_arrays_are_computed_in_float32(name):
    loss, _ = LOSSES[name]
    n, m = logits()
    arrays = [np.asarray(x, np.float64) for x in (n, m)]
    losses = loss(*arrays)
    assert losses.dtype == jnp.float32
    np.testing.assert_allclose(losses, loss(n, m), rtol=1e-6)


@pytest.mark.parametrize("name", ["wmse", "ikl", "gkl"])
def test_zero_weights_give_zero_wmse(name):
    n, m = logits()
    zero = jnp.zeros_like(n)
    losses = {
        "wmse": lambda n, m: ikl_jax.weighted_mse(n, m, zero),
        "ikl": lambda n, m: ikl_jax.ikl_loss(n, m, zero, beta=0.0),
        "gkl": lambda n, m: ikl_jax.gkl_loss(n, m, zero, beta=0.0, gamma=0.5),
    }
    assert not np.any(losses[name](n, m))
    for gradient in gradients(losses[name], n, m):
        assert not np.any(gradient)


@every_loss
def test_an_empty_batch(name):
    loss, _ = LOSSES[name]
    n, m = (x[:0] for x in logits())
    with jax.debug_nans(True):
        assert loss(n, m).shape == (0,)
