"""What is left out of a loss of a linear head: classes, tokens, all; `vmap`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ikl_jax
from ikl_jax import linear_head
from ikl_jax.linear_head import Head, TopK, TopKWithRest
from tests.conftest import case_rows
from tests.ikl_jax.linear_head import cases

TOLERANCE = 1e-9
IS_CLASS = jnp.arange(cases.CLASSES) < cases.CLASSES - 2
KEEP = jnp.arange(cases.TOKENS) % 3 > 0
MASKS = {
    "classes": (IS_CLASS, IS_CLASS[None]),
    "tokens": (KEEP[:, None], KEEP[:, None]),
    "both": ((IS_CLASS, KEEP[:, None]), IS_CLASS[None] & KEEP[:, None]),
    "each": ((IS_CLASS[None] & KEEP[:, None]), IS_CLASS[None] & KEEP[:, None]),
}


@pytest.mark.parametrize(
    ("name", "form", "mask"),
    case_rows(
        [
            (name, form, mask)
            for name, form in (
                ("ikl_loss", "head"), ("gkl_loss", "logits"), ("kl_divergence", "top k"),
            )
            for mask in MASKS
        ],
        quick=[("ikl_loss", "head", "both")], mark=pytest.mark.long,
    ),
)  # fmt: skip
def test_masks(name, form, mask, x64):
    student, teacher, cotangent = cases.arrays()
    given, whole = MASKS[mask]
    ours, _ = cases.losses(name, form, where=given)
    _, dense = cases.losses(name, form, where=whole)
    found, expected = (
        cases.value_and_gradients(loss, cotangent)(student, teacher)
        for loss in (ours, dense)
    )
    cases.assert_close(found, expected, TOLERANCE)


@pytest.mark.long
def test_a_mask_of_classes_and_the_rest(x64):
    student, teacher, _ = cases.arrays()
    n, m = (
        jnp.where(IS_CLASS[None], cases.dense_logits(x), -jnp.inf)
        for x in (student, teacher)
    )
    top = cases.indices_of(m)
    is_top = jnp.zeros(m.shape, bool).at[jnp.arange(len(m))[:, None], top].set(True)
    rest = lambda x: jax.nn.logsumexp(jnp.where(is_top, -jnp.inf, x), axis=1)
    picked = lambda x: jnp.take_along_axis(x, top, axis=1)
    target = TopKWithRest(picked(m), top, rest(m))
    found = linear_head.kl_divergence(Head(**student), target, where=IS_CLASS)
    both = [jnp.concatenate([picked(x), rest(x)[:, None]], axis=1) for x in (n, m)]
    cases.assert_close(found, ikl_jax.kl_divergence(*both), TOLERANCE)


@pytest.mark.parametrize(
    ("by", "held"),
    case_rows(
        [
            (by, held)
            for by in ("where", "example weights", "a zero cotangent")
            for held in (np.nan, 3e38)  # whose products are infinite
        ],
        quick=[("example weights", 3e38)], mark=pytest.mark.long,
    ),
)  # fmt: skip
def test_a_token_that_is_left_out_may_hold_anything(by, held):
    student, teacher, _ = cases.arrays(dtype=jnp.float32)
    broken = lambda side: (
        side | {"hidden": jnp.where(KEEP[:, None], side["hidden"], held)}
    )

    @jax.jit
    def gradients(student, teacher):
        def total(student, teacher):
            head, target = Head(**student), Head(**teacher)
            if by == "where":
                loss = linear_head.ikl_loss(
                    head, target, where=KEEP[:, None], chunk_size=4
                )
                return jnp.sum(loss)
            if by == "example weights":
                each = KEEP.astype(jnp.float32)
                return linear_head.ikl_loss(
                    head, target, example_weights=each, chunk_size=4
                )
            loss = linear_head.ikl_loss(head, target, chunk_size=4)
            return jnp.sum(jnp.where(KEEP, loss, 0.0))

        return jax.value_and_grad(total, (0, 1))(student, teacher)

    expected = gradients(student, teacher)
    cases.assert_close(
        gradients(broken(student), broken(teacher)), expected, tolerance=1e-5
    )


@pytest.mark.parametrize("by", ["example weights", "where"])
@pytest.mark.long
def test_a_token_that_is_left_out_may_have_no_label(by):
    student, _, _ = cases.arrays(dtype=jnp.float32)
    labels = jnp.arange(cases.TOKENS) % cases.CLASSES

    @jax.jit
    def gradients(student, labels):
        def total(student):
            given = dict(example_weights=KEEP.astype(jnp.float32))
            if by == "where":
                given = dict(where=KEEP[:, None])
            target = TopK(jnp.zeros((cases.TOKENS, 1)), labels[:, None])
            loss = linear_head.soft_cross_entropy(Head(**student), target, **given)
            return jnp.sum(loss)

        return jax.value_and_grad(total)(student)

    found = gradients(student, jnp.where(KEEP, labels, -100))
    cases.assert_close(found, gradients(student, labels), 1e-5)


@pytest.mark.parametrize(
    "name", ["ikl_loss", pytest.param("gkl_loss", marks=pytest.mark.long)]
)
def test_all_tokens_masked(name):
    student, teacher, _ = cases.arrays(dtype=jnp.float32)
    nothing = jnp.zeros((cases.TOKENS, 1), bool)
    ours, _ = cases.losses(name, "head", where=nothing)
    (total, losses), gradients = cases.value_and_gradients(ours, 1.0)(student, teacher)
    assert total == 0.0
    assert not np.any(losses)
    assert not any(map(np.any, jax.tree.leaves(gradients)))


def test_no_tokens():
    student = Head(jnp.zeros((0, 3)), jnp.zeros((3, 5)))
    loss = lambda **given: linear_head.ikl_loss(student, jnp.zeros((0, 5)), **given)
    assert loss().shape == (0,)
    assert loss(example_weights=jnp.zeros(0)) == 0.0


@pytest.mark.parametrize("scale", [pytest.param(1e-6, marks=pytest.mark.long), 1e4])
def test_extreme_logits_stay_finite(scale):
    student, _, _ = cases.arrays(dtype=jnp.float32)
    head = Head(student["hidden"], student["kernel"], scale=scale)
    m = scale * cases.dense_logits(cases.arrays(seed=1, dtype=jnp.float32)[0])

    @jax.jit
    def gradients(head, m):
        loss = lambda head, m: linear_head.gkl_loss(head, m, chunk_size=5).sum()
        return jax.value_and_grad(loss, (0, 1))(head, m)

    assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradients(head, m)))


@pytest.mark.long
def test_under_vmap():
    student, teacher, _ = cases.arrays(dtype=jnp.float32)
    hidden = jnp.stack([student["hidden"], 2 * student["hidden"]])

    def gradient(hidden, kernel):
        loss = lambda h, w: linear_head.ikl_loss(
            Head(h, w), Head(**teacher), chunk_size=4
        ).sum()
        return jax.value_and_grad(loss, (0, 1))(hidden, kernel)

    found = jax.vmap(gradient, (0, None))(hidden, student["kernel"])
    for row in range(2):
        expected = gradient(hidden[row], student["kernel"])
        cases.assert_close(jax.tree.map(lambda x: x[row], found), expected, 1e-5)
