"""Masks, examples that are left out, one value an example, and the dtypes of labels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

import ikl_jax
from tests.ikl_jax.divergences.losses import LABELS, LOSSES, WEIGHTS, every_loss, logits
from tests.support.references import reference

TEMPERATURES = jnp.array([0.5, 1.0, 2.0, 3.0, 4.0, 5.0])
N, M = logits(2.0)


def test_a_temperature_for_each_example():
    kd = jax.jit(lambda n, m, t: ikl_jax.kd_loss(n, m, temperature=t))
    found = kd(N, M, TEMPERATURES)
    for row in (0, 3):
        same = jnp.full(6, TEMPERATURES[row])
        np.testing.assert_allclose(found[row], kd(N, M, same)[row], rtol=1e-6)
        expected = reference.kl(N[row], M[row], TEMPERATURES[row])
        expected *= TEMPERATURES[row] ** 2
        np.testing.assert_allclose(found[row], expected, rtol=1e-4)


REFUSED = {
    "temperature of a column": (
        lambda: ikl_jax.kd_loss(N, M, temperature=TEMPERATURES[:, None]),
        r"temperature must be a scalar or have shape \(6,\), one value an example",
    ),
    "alpha of a column": (
        lambda: ikl_jax.ikl_loss(N, M, alpha=TEMPERATURES[:, None]),
        r"alpha must be a scalar or have shape \(6,\)",
    ),
    "a temperature that may be a row of classes": (
        lambda: ikl_jax.kl_divergence(N[:5], M[:5], temperature=TEMPERATURES[:5]),
        r"temperature of shape \(5,\) may be one value an example or one a class",
    ),
    "a gamma that may be a row of classes": (
        lambda: ikl_jax.gkl_loss(N[:5], M[:5], gamma=TEMPERATURES[:5]),
        r"gamma of shape \(5,\) may be",
    ),
    "a mask of examples without the axis of classes": (
        lambda: ikl_jax.dkl_loss(N, M, where=LABELS > 1),
        r"where must broadcast to the logits' shape \(6, 5\), got \(6,\); a mask of "
        r"examples is where\[..., None\]",
    ),
    "a mask of integers": (
        lambda: ikl_jax.dkl_loss(N, M, where=LABELS[:, None]),
        "where must be boolean, got int32",
    ),
    "rows of unequal length": (
        lambda: ikl_jax.dkl_loss([[1.0, 2.0], [3.0]], M),
        "logits must be an array or a list of numbers, all rows of one length, got list",
    ),
    "a normalizer of zero": (
        lambda: ikl_jax.gkl_loss(N, M, normalizer=0.0),
        "normalizer must be > 0, got 0",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name):
    call, message = REFUSED[name]
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_kl_keeps_its_digits_at_a_common_offset():
    rng, step = np.random.default_rng(0), 2.0**-10  # exact next to 8192
    n = rng.integers(-2048, 2048, (64, 10)) * step
    m = n + rng.integers(-1, 2, n.shape) * step
    kl = jax.jit(ikl_jax.kl_divergence)
    at = lambda offset: kl(*(np.asarray(x + offset, np.float32) for x in (n, m)))
    np.testing.assert_allclose(at(8192), at(0), rtol=1e-6)
    n[0], m[0] = 0.0, 0.0  # here the target alone is far away
    n[0, 1], m[0, 0] = 1.0, 1e9
    np.testing.assert_allclose(at(0)[0], np.log(9 + np.e), rtol=1e-6)


def test_logits_beyond_a_billion_have_a_finite_cross_entropy_under_jit():
    n = jnp.asarray([[3e9, -1e9, 2.9e9]])
    loss = jax.jit(lambda n: ikl_jax.soft_cross_entropy(n, N[:1, :3], temperature=0.3))
    p = jax.nn.softmax(N[:1, :3] / 0.3)
    np.testing.assert_allclose(loss(n), jnp.sum(p * (3e9 - n) / 0.3), rtol=1e-5)


def test_kd_in_float16_is_rounded_once():
    n, m = (x.astype(jnp.float16) for x in (N, M))
    exact = ikl_jax.kd_loss(*(x.astype(jnp.float32) for x in (n, m)), temperature=300)
    found = ikl_jax.kd_loss(n, m, temperature=300)
    np.testing.assert_array_equal(found, exact.astype(jnp.float16))


def test_a_learned_temperature_gets_the_whole_gradient():
    def definitions(t):
        p, log_q = jax.nn.softmax(M / t), jax.nn.log_softmax(N / t)
        cross_entropy = -jnp.sum(p * log_q)
        return cross_entropy, t**2 * (jnp.sum(p * jnp.log(p)) + cross_entropy)

    def losses(t):
        kd = ikl_jax.kd_loss(N, M, temperature=t)
        return ikl_jax.soft_cross_entropy(N, M, temperature=t).sum(), kd.sum()

    slopes = jax.jit(lambda t: (jax.jacrev(losses)(t), jax.jacfwd(definitions)(t)))
    np.testing.assert_allclose(*slopes(3.0), rtol=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 1e-50])
def test_a_coefficient_that_is_zero_in_float32_leaves_an_infinite_loss_out(alpha):
    infinite = N.at[:, 0].set(-jnp.inf)
    ikl = jax.jit(lambda n: ikl_jax.ikl_loss(n, M, alpha=alpha, beta=alpha))
    np.testing.assert_array_equal(ikl(infinite), 0.0)


def test_gkl_ignores_a_nan_row_and_takes_a_normalizer():
    broken = M.at[5].set(jnp.nan)
    five = jnp.arange(6) < 5

    @jax.jit
    def losses():
        gkl = functools.partial(ikl_jax.gkl_loss, gamma=0.5)
        normalizer = jnp.mean(jnp.sum(WEIGHTS**0.5, axis=-1) ** 2)
        given = gkl(N[:2], M[:2], WEIGHTS[:2], normalizer=normalizer)
        masked = gkl(N, broken, where=five[:, None])
        return gkl(N[:5], M[:5]), gkl(N, broken), masked, given, gkl(N, M, WEIGHTS)

    good, with_nan, masked, given, whole = losses()
    np.testing.assert_allclose(with_nan[:5], good, rtol=1e-6)
    np.testing.assert_allclose(masked[:5], good, rtol=1e-6)
    assert masked[5] == 0.0
    np.testing.assert_allclose(given, whole[:2], rtol=1e-5)


def test_gkl_of_tiny_weights_does_not_underflow():
    gkl = jax.jit(lambda w: ikl_jax.gkl_loss(N, M, w, gamma=3.0))
    equal = jnp.ones_like(N)
    # The logarithm of 1e-30^3 is rounded to 1e-5.
    np.testing.assert_allclose(gkl(1e-30 * equal), gkl(equal), rtol=3e-5)


def test_dkd_takes_narrow_labels_and_any_label_of_an_example_that_is_left_out():
    n, m = logits(shape=(3, 300))
    labels = np.array([5, 40, -100])
    where = (labels >= 0)[:, None]

    @jax.jit
    def losses():
        dkd = functools.partial(ikl_jax.dkd_loss, n, m, where=where)
        return dkd(labels), dkd(labels.astype(np.int8)), dkd(jnp.asarray([5, 40, 0]))

    ignored, narrow, expected = losses()
    assert expected[2] == 0.0
    np.testing.assert_array_equal(narrow, expected)
    np.testing.assert_array_equal(ignored, expected)
    uint8 = jax.jit(ikl_jax.dkd_loss)(n[:2], m[:2], labels[:2].astype(np.uint8))
    np.testing.assert_allclose(uint8, expected[:2], rtol=1e-6)


@every_loss
def test_tracing_with_strict_dtypes_and_without_transfers(name):
    half = jax.ShapeDtypeStruct((6, 5), jnp.bfloat16)
    loss, _ = LOSSES[name]
    gradients = jax.grad(lambda n, m: loss(n, m).sum(), (0, 1))
    with jax.numpy_dtype_promotion("strict"), jax.transfer_guard("disallow"):
        found = jax.eval_shape(gradients, half, half)
    assert [x.dtype for x in found] == [jnp.bfloat16] * 2


@pytest.mark.parametrize("name", ["kl", "soft_ce", "dkl", "ikl_sample", "gkl_sample"])
def test_one_side_that_does_not_vary_over_a_mesh(name):
    loss, _ = LOSSES[name]
    mesh = jax.make_mesh(
        (2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2]
    )
    rows = PartitionSpec("data")
    gradient = jax.grad(lambda n: loss(n, jnp.zeros(n.shape)).sum())
    sharded = jax.shard_map(gradient, mesh=mesh, in_specs=rows, out_specs=rows)
    assert jax.eval_shape(sharded, N).shape == N.shape
