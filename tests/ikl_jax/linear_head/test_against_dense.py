"""Every loss and every form of target against the dense losses, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ikl_jax
from ikl_jax import linear_head
from ikl_jax.linear_head import Head, TopK
from tests.conftest import case_rows
from tests.ikl_jax.linear_head import cases

TOLERANCE = 1e-9
QUICK = [
    ("soft_cross_entropy", "top k"), ("ikl_loss", "head"), ("gkl_loss", "logits"),
]  # fmt: skip


def compare(name, form, kind, **changed):
    student, teacher, cotangent = cases.arrays()
    ours, dense = cases.losses(name, form, kind, **changed)
    (_, values), gradients = cases.value_and_gradients(dense, cotangent)(
        student, teacher
    )
    (_, found), by_token = cases.value_and_gradients(ours, cotangent)(student, teacher)
    cases.assert_close(found, values, TOLERANCE)
    cases.assert_close(by_token, gradients, TOLERANCE)
    twice = lambda s, t: 2 * ours(s, t, example_weights=cotangent)
    value, summed = jax.jit(jax.value_and_grad(twice, (0, 1)))(student, teacher)
    cases.assert_close(value, 2 * jnp.sum(cotangent * values), TOLERANCE)
    cases.assert_close(summed, jax.tree.map(lambda x: 2 * x, gradients), TOLERANCE)
    return gradients


@pytest.mark.parametrize(
    ("name", "form"),
    case_rows(
        [(name, form) for name in cases.NAMES for form in cases.FORMS],
        quick=QUICK, mark=pytest.mark.long,
    ),
)  # fmt: skip
def test_values_and_gradients(name, form, x64):
    by_student, by_teacher = compare(name, form, "sample")
    assert np.any(by_student["kernel"])
    stopped = name in ("soft_cross_entropy", "kd_loss")
    assert np.any(by_teacher["hidden"]) == (not stopped)


@pytest.mark.parametrize(
    ("name", "form", "kind"),
    case_rows(
        [
            (name, form, kind)
            for name in ("ikl_loss", "gkl_loss")
            for form in cases.FORMS
            for kind in ("shared", "grouped")
        ],
        quick=[("ikl_loss", "logits", "grouped")],
        mark=pytest.mark.long,
    ),
)
def test_weights(name, form, kind, x64):
    compare(name, form, kind)


@pytest.mark.parametrize(
    "chunk_size",
    [pytest.param(n, marks=pytest.mark.long) for n in (1, 5, 8, 10, 99, None)],
)
def test_any_chunk_size(chunk_size, x64):
    compare("ikl_loss", "logits", "sample", chunk_size=chunk_size)


@pytest.mark.parametrize(
    "chunk_size", [pytest.param(4, marks=pytest.mark.long), cases.CLASSES]
)
def test_a_value_for_each_token_and_the_gradients_of_scalars(chunk_size, x64):
    student, teacher, cotangent = cases.arrays()
    each = jnp.linspace(0.5, 2.0, cases.TOKENS)
    scalars = {
        "alpha": each, "beta": jnp.asarray(2.0), "temperature": each[::-1],
        "target_temperature": jnp.asarray(0.8),
    }  # fmt: skip

    def ours(scalars, cotangent):
        head, target = Head(**student), Head(**teacher)
        return linear_head.ikl_loss(
            head, target, **scalars, chunk_size=chunk_size, example_weights=cotangent
        )

    def dense(scalars, cotangent):
        n, m = map(cases.dense_logits, (student, teacher))
        return jnp.sum(cotangent * ikl_jax.ikl_loss(n, m, **scalars))

    found, expected = (
        jax.jit(jax.value_and_grad(loss, (0, 1)))(scalars, cotangent)
        for loss in (ours, dense)
    )
    cases.assert_close(found, expected, TOLERANCE)


@pytest.mark.long
def test_a_normalizer_that_is_known(x64):
    student, teacher, _ = cases.arrays()
    ours, dense = cases.losses("gkl_loss", "logits", "shared", normalizer=0.7)
    cases.assert_close(ours(student, teacher), dense(student, teacher), TOLERANCE)


@pytest.mark.long
def test_entries_at_minus_infinity_are_not_in_the_top_k(x64):
    student, teacher, _ = cases.arrays()
    m = cases.dense_logits(teacher)
    top = cases.indices_of(m)
    picked = jnp.take_along_axis(m, top, axis=1)
    padded = TopK(
        jnp.concatenate([picked, jnp.full((cases.TOKENS, 2), -jnp.inf)], axis=1),
        jnp.concatenate([top, top[:, :1], jnp.full((cases.TOKENS, 1), -1)], axis=1),
    )
    kl = lambda target: linear_head.kl_divergence(Head(**student), target)
    cases.assert_close(kl(padded), kl(TopK(picked, top)), TOLERANCE)


@pytest.mark.long
def test_all_classes_are_the_top_k(x64):
    student, teacher, _ = cases.arrays()
    n, m = map(cases.dense_logits, (student, teacher))
    indices = jnp.broadcast_to(jnp.arange(cases.CLASSES), m.shape)
    kl = linear_head.kl_divergence(Head(**student), TopK(m, indices))
    cases.assert_close(kl, ikl_jax.kl_divergence(n, m), TOLERANCE)
