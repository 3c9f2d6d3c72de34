"""Sums with weights, the choice of a form, transformations, and bad input."""

import functools

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

import ikl_jax
from ikl_jax import kernels
from tests.ikl_jax.kernels.cases import FORMS, INTERPRETED, ON_GPU
from tests.support.references import reference

RNG = np.random.default_rng(3)
N, M = (jnp.asarray(RNG.normal(size=(8, 40)), jnp.float32) for _ in range(2))
W = jnp.asarray(RNG.dirichlet(np.ones(40), 8), jnp.float32)


def test_a_sum_has_the_gradients_of_its_losses_and_leaves_out_what_weighs_nothing():
    each = jnp.arange(8.0).at[3].set(0.0)
    n = N.at[3].set(jnp.nan)

    def total(n, m, each):
        return 2 * kernels.ikl_loss(
            n, m, W, alpha=20.0, example_weights=each, form=INTERPRETED
        )

    both = jax.jit(jax.value_and_grad(total, (0, 1, 2)))
    value, (by_n, by_m, by_each) = both(n, M, each)
    expected = reference.ikl(np.float64(N), np.float64(M), np.float64(W), 20.0)
    np.testing.assert_allclose(value, 2 * np.sum(each * expected), rtol=1e-5)
    np.testing.assert_allclose(
        np.delete(by_each, 3), 2 * np.delete(expected, 3), rtol=1e-5
    )
    dense = lambda n, m: 2 * (each * ikl_jax.ikl_loss(n, m, W, alpha=20.0)).sum()
    of_dense = jax.jit(jax.grad(dense, (0, 1)))(N, M)
    for found, wanted in zip((by_n, by_m), of_dense, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "weight", "factor"),
    [
        (jnp.bfloat16, 1.0, 1 / 3),  # a third in bfloat16 is 0.2 % too large
        (jnp.float16, 1e-6, 2.0**20),  # gradients below the least number of float16
    ],
)
@pytest.mark.parametrize("form", [kernels.Xla(), ON_GPU], ids=["xla", "gpu"])
def test_a_factor_of_a_sum_costs_its_gradients_no_digits(form, dtype, weight, factor):
    n, m, each = N.astype(dtype), M.astype(dtype), jnp.full(8, weight)

    def total(n):
        of_rows = kernels.ikl_loss(n, m, example_weights=each, form=form)
        return factor * of_rows

    def dense(n):
        return factor * jnp.sum(each * ikl_jax.ikl_loss(n, m.astype(jnp.float32)))

    found, expected = jax.grad(total)(n), jax.grad(dense)(n.astype(jnp.float32))
    assert found.dtype == dtype
    found = found.astype(jnp.float32)
    assert abs(jnp.vdot(found, expected) / jnp.vdot(expected, expected) - 1) < 1e-3
    assert jnp.linalg.norm(found - expected) < 4e-3 * jnp.linalg.norm(expected)


def test_on_a_cpu_xla_computes_the_losses():
    loss = functools.partial(kernels.kl_divergence, temperature=2.0)
    chosen = functools.partial(loss, form=kernels.Chosen(least=40))
    for of, has_kernel in ((loss, False), (chosen, True)):
        assert ("pallas_call" in str(jax.make_jaxpr(of)(N, M))) == has_kernel
    expected = ikl_jax.kl_divergence(N, M, temperature=2.0)
    np.testing.assert_allclose(jax.jit(chosen)(N, M), expected, rtol=1e-6)


@pytest.mark.parametrize(("platform", "is_kernel"), [("cpu", False), ("tpu", True)])
def test_a_program_is_exported_for_one_platform(platform, is_kernel):
    loss = functools.partial(kernels.kl_divergence, form=kernels.Chosen(least=40))
    exported = jax.export.export(jax.jit(loss), platforms=[platform])(N, M)
    assert ("tpu_custom_call" in exported.mlir_module()) == is_kernel
    assert exported.serialize()


def test_float64_is_computed_by_xla(x64):
    n, m = np.float64(N), np.float64(M)
    found = jax.jit(functools.partial(kernels.ikl_loss, form=kernels.Chosen(least=1)))(
        n, m
    )
    np.testing.assert_allclose(
        found, reference.ikl(n, m, reference.softmax(m)), rtol=1e-12
    )


@pytest.mark.parametrize("form", FORMS)
def test_vmap_and_shard_map(form):
    loss = functools.partial(kernels.kl_divergence, form=FORMS[form])
    n, m = (jnp.tile(x, 5) for x in (N, M))
    expected = ikl_jax.kl_divergence(n, m)
    found = jax.vmap(loss)(n.reshape(2, 4, 200), m.reshape(2, 4, 200))
    np.testing.assert_allclose(found.reshape(8), expected, rtol=1e-6)
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    rows = PartitionSpec("data")
    # Interpreted kernels do not keep account of the axes over which arrays vary.
    each = jax.shard_map(
        loss, mesh=mesh, in_specs=(rows, rows), out_specs=rows, check_vma=False
    )
    np.testing.assert_allclose(jax.jit(each)(n, m), expected, rtol=1e-6)


@pytest.mark.parametrize("form", [kernels.Xla(), *FORMS.values()])
def test_one_row_of_one_class(form):
    loss = lambda n: kernels.ikl_loss(n, n + 1, temperature=2.0, form=form).sum()
    value, gradient = jax.value_and_grad(loss)(jnp.ones((1, 1)))
    assert value == gradient == 0


def test_an_empty_batch():
    none = jnp.zeros((0, 40))
    assert kernels.gkl_loss(none, none).shape == (0,)
    assert kernels.ikl_loss(none, none, example_weights=jnp.zeros(0)) == 0


REFUSED = {
    "shapes": (
        lambda: kernels.kl_divergence(N, M[:, :30]),
        r"shapes must be equal, got logits \(8, 40\), target_logits \(8, 30\)",
    ),
    "weights of other classes": (
        lambda: kernels.ikl_loss(N, M, W[0, :30]),
        r"weights must have the logits' shape \(8, 40\), or \(40,\), which all "
        r"examples share, got \(30,\)",
    ),
    "negative weights": (
        lambda: kernels.ikl_loss(N, M, -W),
        "weights must be >= 0, got -",
    ),
    "a temperature": (
        lambda: kernels.kd_loss(N, M, temperature=0.0),
        "temperature must be > 0, got 0",
    ),
    "a gamma": (lambda: kernels.gkl_loss(N, M, gamma=-1.0), "gamma must be >= 0"),
    "example weights of classes": (
        lambda: kernels.dkl_loss(N, M, example_weights=jnp.ones(40)),
        r"example_weights must have shape \(8,\), got \(40,\)",
    ),
    "a mask of examples": (
        lambda: kernels.dkl_loss(N, M, where=jnp.ones(8, bool)),
        r"where must broadcast to the logits' shape \(8, 40\), got \(8,\)",
    ),
    "a form": (
        lambda: kernels.dkl_loss(N, M, form="mosaic"),
        r"form must be None, Chosen\(\), Mosaic\(\), Triton\(\) or Xla\(\), got 'mosaic'",
    ),
    "integers": (
        lambda: kernels.dkl_loss(jnp.arange(4), jnp.arange(4)),
        "logits must be floating point, got int32",
    ),
    "float16": (
        lambda: kernels.dkl_loss(N, M.astype(jnp.float16), form=kernels.Mosaic()),
        "a TPU's kernel takes float32 or bfloat16, got float16",
    ),
    "classes that fill no register": (
        lambda: kernels.Mosaic(classes=100),
        "classes must be a multiple of 128, got 100",
    ),
    "no memory": (lambda: kernels.Mosaic(memory=0), "memory must lie in"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input(name):
    call, message = REFUSED[name]
    with pytest.raises((ValueError, TypeError), match=message) as error:
        call()
    assert "\n" not in str(error.value)
