"""Dtypes: what is rounded, and where; ranges; heads and targets of several dtypes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ikl_jax
from ikl_jax import linear_head
from ikl_jax.linear_head import Head
from tests.ikl_jax.linear_head import cases

TOKENS, WIDTH = 32, 16


def sides(dtype, classes):
    """Hidden states and kernels of a student and of a teacher."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(0.2 * rng.standard_normal(shape), dtype)
    return [(draw(TOKENS, WIDTH), draw(WIDTH, classes)) for _ in range(2)]


def exact(weights, scale, student, teacher):
    """The gradients in float32 of the weighted sum of IKL losses, times `scale`."""
    h, w, h2, w2 = (x.astype(jnp.float32) for x in (*student, *teacher))
    loss = lambda h, w: scale * jnp.sum(weights * ikl_jax.ikl_loss(h @ w, h2 @ w2))
    return jax.jit(jax.grad(loss, (0, 1)))(h, w)


def relative_error(found, expected):
    found = found.astype(jnp.float32)
    return float(jnp.linalg.norm(found - expected) / jnp.linalg.norm(expected))


def gradients(weights, scale, student, teacher):
    def loss(h, w):
        return scale * linear_head.ikl_loss(
            Head(h, w), Head(*teacher), chunk_size=16, example_weights=weights
        )

    return jax.jit(jax.grad(loss, (0, 1)))(*student)


def test_a_loss_scale_saves_the_gradients_of_float16():
    """They are about 1e-9 before it multiplies them; float16 ends at 6e-8."""
    student, teacher = sides(jnp.float16, 256)
    given = jnp.full(TOKENS, 1e-6), 2.0**20, student, teacher
    for found, of_float32 in zip(gradients(*given), exact(*given), strict=True):
        assert found.dtype == jnp.float16
        assert relative_error(found, of_float32) < 2**-9


def test_what_multiplies_a_sum_is_not_rounded_to_bfloat16():
    """A third would be rounded up by 0.2 %, and all gradients with it."""
    student, teacher = sides(jnp.bfloat16, 32)
    given = jnp.ones(TOKENS), 1 / 3, student, teacher
    for found, of_float32 in zip(gradients(*given), exact(*given), strict=True):
        slope = jnp.vdot(found.astype(jnp.float32), of_float32)
        assert abs(slope / jnp.vdot(of_float32, of_float32) - 1) < 1e-3


@pytest.mark.parametrize("total", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_float64_teacher_of_a_float32_student(total, x64):
    drawn, teacher, cotangent = cases.arrays()
    student = {name: x.astype(jnp.float32) for name, x in drawn.items()}
    weights = cases.weights_of("shared")[0]
    cotangent = cotangent.astype(jnp.float32)

    def loss(student, teacher):
        given = dict(example_weights=cotangent) if total else {}
        found = linear_head.ikl_loss(
            Head(**student), Head(**teacher), weights, chunk_size=4, **given
        )
        return found if total else jnp.sum(cotangent * found)

    value, found = jax.jit(jax.value_and_grad(loss, (0, 1)))(student, teacher)
    of_float64, expected = jax.jit(jax.value_and_grad(loss, (0, 1)))(drawn, teacher)
    assert value.dtype == jnp.float32
    assert [x["kernel"].dtype for x in found] == [jnp.float32, jnp.float64]
    cases.assert_close((value, found), (of_float64, expected), 1e-4)


BFLOAT16 = [
    ("ikl_loss", "head"), ("kd_loss", "logits"), ("gkl_loss", "top k"),
    ("soft_cross_entropy", "top k with rest"),
]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(("name", "form"), BFLOAT16)
def test_bfloat16_is_as_exact_as_its_products(name, form):
    """Losses as of float32; gradients within 2^-7 of the sums of absolute products.

    The gradient of the logits is rounded to bfloat16 (to within 2^-8) before it is
    multiplied, and so is the result.
    """
    student, teacher, cotangent = cases.arrays(dtype=jnp.bfloat16)
    ours, dense = cases.losses(name, form)
    slopes = jax.value_and_grad(
        lambda s: ours(s, teacher, example_weights=cotangent.astype(jnp.float32))
    )
    value, found = jax.jit(slopes)(student)
    exact_student, exact_teacher, cotangent = jax.tree.map(
        lambda x: x.astype(jnp.float32), (student, teacher, cotangent)
    )

    def of_product(x):
        one = {**exact_student, "hidden": x, "kernel": jnp.eye(cases.CLASSES)}
        return jnp.sum(cotangent * dense(one, exact_teacher))

    hidden, kernel = exact_student["hidden"], exact_student["kernel"]
    expected, slope = jax.jit(jax.value_and_grad(of_product))(hidden @ kernel)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for name, product in (
        ("hidden", lambda x: x(slope) @ x(kernel).T),
        ("kernel", lambda x: x(hidden).T @ x(slope)),
    ):
        assert found[name].dtype == jnp.bfloat16
        error = jnp.abs(found[name].astype(jnp.float32) - product(jnp.asarray))
        assert (error <= 2**-7 * product(jnp.abs)).all()


@pytest.mark.long
def test_two_dtypes_are_multiplied_in_float32(x64):
    student, teacher, _ = cases.arrays(dtype=jnp.float32)
    n, m = map(cases.dense_logits, (student, teacher))
    half = {**student, "hidden": student["hidden"].astype(jnp.bfloat16)}
    n = cases.dense_logits({**half, "hidden": half["hidden"].astype(jnp.float32)})
    loss = linear_head.kl_divergence(Head(**half), Head(**teacher))
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, ikl_jax.kl_divergence(n, m), rtol=1e-4, atol=1e-6)


def test_strict_dtypes_and_no_transfers():
    half = jax.ShapeDtypeStruct((cases.TOKENS, 4), jnp.bfloat16)
    kernel = jax.ShapeDtypeStruct((4, cases.CLASSES), jnp.bfloat16)
    loss = lambda h, w: linear_head.ikl_loss(Head(h, w), Head(h, w), chunk_size=4).sum()
    with jax.numpy_dtype_promotion("strict"), jax.transfer_guard("disallow"):
        found = jax.eval_shape(jax.grad(loss, (0, 1)), half, kernel)
    assert [x.dtype for x in found] == [jnp.bfloat16] * 2
