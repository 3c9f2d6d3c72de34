"""Properties of the losses, each over one table of all of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.lax import stop_gradient
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import ikl_jax
from tests.support import reference

LABELS = jnp.array([1, 0, 4, 2, 3, 1])
WEIGHTS = jax.random.dirichlet(jax.random.key(2), jnp.ones(5), (6,))

# name: (loss of (n, m), its NumPy definition, the terms' gradients: which input)
LOSSES = {
    "kl": (
        lambda n, m: ikl_jax.kl_divergence(n, m, temperature=2.0),
        lambda n, m: reference.kl(n, m, 2.0),
    ),
    "soft_ce": (
        lambda n, m: ikl_jax.soft_cross_entropy(
            n, m, temperature=2.0, target_temperature=0.5
        ),
        lambda n, m: reference.soft_cross_entropy(n, m, 2.0, 0.5),
    ),
    "wmse": (
        lambda n, m: ikl_jax.weighted_mse(n, m, _rows(WEIGHTS, n)),
        lambda n, m: reference.weighted_mse(n, m, _rows(WEIGHTS, n)),
    ),
    "dkl": (
        lambda n, m: ikl_jax.dkl_loss(n, m, alpha=3.0, beta=2.0),
        lambda n, m: reference.ikl(n, m, reference.softmax(m), 3.0, 2.0),
    ),
    "ikl": (
        lambda n, m: ikl_jax.ikl_loss(
            n, m, _rows(WEIGHTS, n), alpha=20.0, beta=4.0, temperature=3.0
        ),
        lambda n, m: reference.ikl(n, m, _rows(WEIGHTS, n), 20.0, 4.0, 3.0),
    ),
    "ikl_sample": (
        lambda n, m: ikl_jax.ikl_loss(n, m, alpha=20.0, beta=4.0),
        lambda n, m: reference.ikl(n, m, reference.softmax(m), 20.0, 4.0),
    ),
    "gkl_sample": (
        lambda n, m: ikl_jax.gkl_loss(n, m, alpha=2.0, beta=0.5, gamma=0.3),
        lambda n, m: reference.gkl(n, m, reference.softmax(m), 2.0, 0.5, 0.3),
    ),
    "gkl": (
        lambda n, m: ikl_jax.gkl_loss(n, m, _rows(WEIGHTS, n), alpha=2.0, gamma=0.3),
        lambda n, m: reference.gkl(n, m, _rows(WEIGHTS, n), 2.0, gamma=0.3),
    ),
    "kd": (
        lambda n, m: ikl_jax.kd_loss(n, m, temperature=4.0),
        lambda n, m: 16 * reference.kl(n, m, 4.0),
    ),
    "dkd": (
        lambda n, m: ikl_jax.dkd_loss(n, m, _rows(LABELS, n[..., 0]), beta=2.0),
        lambda n, m: reference.dkd(n, m, np.asarray(LABELS), 1.0, 2.0, 4.0),
    ),
}
PER_EXAMPLE = [name for name in LOSSES if not name.startswith("gkl")]


def _rows(table, like):
    """The table's rows for a batch of any leading shape, in a matching container."""
    rows = table[: int(np.prod(like.shape[: like.ndim - (table.ndim - 1)], dtype=int))]
    rows = rows.reshape(like.shape)
    return rows if isinstance(like, jax.Array) else np.asarray(rows, np.float64)


def logits(scale=1.0, seed=0, shape=(6, 5), dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(seed))
    return [(scale * jax.random.normal(key, shape)).astype(dtype) for key in keys]


def gradients(loss, n, m):
    return jax.grad(lambda n, m: loss(n, m).sum(), (0, 1))(n, m)


every_loss = pytest.mark.parametrize("name", LOSSES)


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


@pytest.mark.parametrize("name", ["kl", "soft_ce", "dkl", "ikl_sample", "kd"])
def test_under_vmap_and_jit(name):
    loss, _ = LOSSES[name]
    n, m = logits()
    np.testing.assert_allclose(jax.vmap(loss)(n, m), loss(n, m), rtol=1e-6)
    np.testing.assert_allclose(jax.jit(loss)(n, m), loss(n, m), rtol=1e-6)
    per_example = jax.vmap(jax.grad(loss, (0, 1)))(n, m)
    for ours, expected in zip(per_example, gradients(loss, n, m), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


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
        "wmse": lambda n, m: pairwise(n, m, _rows(WEIGHTS, n)),
        "dkl": lambda n, m: (
            3.0 * pairwise(stop_gradient(n), m, p(m)) + 2.0 * softmax_ce(n, m)
        ),
        "ikl": lambda n, m: (
            20.0 * pairwise(n, m, _rows(WEIGHTS, n)) + 4.0 * softmax_ce(n, m, 3.0)
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


@every_loss
def test_an_empty_batch(name):
    loss, _ = LOSSES[name]
    n, m = (x[:0] for x in logits())
    assert loss(n, m).shape == (0,)


def test_kl_and_dkl_differ_in_value_but_not_in_gradient():
    n, m = logits()
    assert not np.allclose(ikl_jax.dkl_loss(n, m), ikl_jax.kl_divergence(n, m))
    kl, dkl = (gradients(f, n, m) for f in (ikl_jax.kl_divergence, ikl_jax.dkl_loss))
    for ours, expected in zip(dkl, kl, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-6)


@every_loss
def test_a_batch_sharded_over_devices(name):
    loss, _ = LOSSES[name]
    n, m = (x[:6] for x in logits())
    mesh = jax.make_mesh(
        (2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2]
    )
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    sharded = [jax.device_put(x, sharding) for x in (n, m)]
    compiled = jax.jit(lambda n, m: gradients(loss, n, m))
    for ours, expected in zip(compiled(*sharded), gradients(loss, n, m), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["dkl", "ikl", "ikl_sample"])
def test_memory_is_linear_in_classes(name):
    n, m = logits(shape=(256, 1000))
    w = jax.nn.softmax(m)
    losses = {
        "dkl": lambda n, m, w: ikl_jax.dkl_loss(n, m),
        "ikl": lambda n, m, w: ikl_jax.ikl_loss(n, m, w),
        "ikl_sample": lambda n, m, w: ikl_jax.ikl_loss(n, m),
    }
    step = jax.value_and_grad(lambda *x: losses[name](*x).mean(), (0, 1))
    compiled = jax.jit(step).lower(n, m, w).compile()
    assert compiled.memory_analysis().temp_size_in_bytes <= 3 * n.nbytes


BAD_INPUT = {
    "other shapes": (
        lambda n, m: ikl_jax.ikl_loss(n, m[:, :4]),
        ValueError,
        r"shapes must be equal, got logits \(6, 5\), target_logits \(6, 4\)",
    ),
    "weights of another width": (
        lambda n, m: ikl_jax.ikl_loss(n, m, WEIGHTS[:, :4]),
        ValueError,
        r"got weights \(6, 4\), logits \(6, 5\)",
    ),
    "weights of one row": (
        lambda n, m: ikl_jax.gkl_loss(n, m, WEIGHTS[0]),
        ValueError,
        r"got weights \(5,\)",
    ),
    "negative weights": (
        lambda n, m: ikl_jax.weighted_mse(n, m, WEIGHTS - 1.0),
        ValueError,
        "weights must be >= 0, got -",
    ),
    "temperature": (
        lambda n, m: ikl_jax.kd_loss(n, m, temperature=0.0),
        ValueError,
        "temperature must be > 0, got 0",
    ),
    "target temperature": (
        lambda n, m: ikl_jax.soft_cross_entropy(n, m, target_temperature=-1.0),
        ValueError,
        "target_temperature must be > 0, got -1",
    ),
    "gamma": (
        lambda n, m: ikl_jax.gkl_loss(n, m, gamma=-0.5),
        ValueError,
        "gamma must be >= 0, got -0.5",
    ),
    "integers": (
        lambda n, m: ikl_jax.dkl_loss(n.astype(int), m),
        TypeError,
        "logits must be floating point, got int32",
    ),
    "scalars": (
        lambda n, m: ikl_jax.dkl_loss(n[0, 0], m[0, 0]),
        ValueError,
        "logits must have 1 or more dimensions",
    ),
    "labels out of range": (
        lambda n, m: ikl_jax.dkd_loss(n, m, LABELS + 1),
        ValueError,
        r"labels must lie in \[0, 5\), got values from 1 to 5",
    ),
    "labels of another shape": (
        lambda n, m: ikl_jax.dkd_loss(n, m, LABELS[:3]),
        ValueError,
        r"labels must have shape \(6,\), got \(3,\)",
    ),
    "float labels": (
        lambda n, m: ikl_jax.dkd_loss(n, m, LABELS.astype(float)),
        TypeError,
        "labels must be integers, got float32",
    ),
    "no class": (
        lambda n, m: ikl_jax.ikl_loss(n[:, :0], m[:, :0]),
        ValueError,
        "at least one",
    ),
    "one class": (
        lambda n, m: ikl_jax.dkd_loss(n[:, :1], m[:, :1], LABELS * 0),
        ValueError,
        "at least 2 classes",
    ),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input(name):
    call, error, message = BAD_INPUT[name]
    with pytest.raises(error, match=message):
        call(*logits())


def test_shapes_are_checked_while_tracing():
    n, m = logits()
    with pytest.raises(ValueError, match="shapes must be equal"):
        jax.jit(ikl_jax.ikl_loss)(n, m[:3])


def test_dkd_of_an_unknown_label_is_nan_under_jit():
    n, m = logits()
    losses = jax.jit(ikl_jax.dkd_loss)(n, m, LABELS.at[0].set(-1))
    assert np.isnan(losses[0])
    assert np.isfinite(losses[1:]).all()
