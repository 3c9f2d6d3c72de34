"""Heads, targets, and the dense losses that those of a linear head are compared with."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ikl_jax
from ikl_jax import linear_head
from ikl_jax.linear_head import Grouped, Head, TopK, TopKWithRest

TOKENS, WIDTH, OTHER_WIDTH, CLASSES, K, GROUPS = 10, 4, 3, 7, 3, 2
NAMES = (
    "kl_divergence", "soft_cross_entropy", "kd_loss", "dkl_loss", "ikl_loss", "gkl_loss",
)  # fmt: skip
FORMS = ("head", "logits", "top k", "top k with rest")
WEIGHTS = ("sample", "shared", "grouped")
OPTIONS = {
    "kl_divergence": dict(temperature=1.7),
    "soft_cross_entropy": dict(temperature=1.7, target_temperature=0.6),
    "kd_loss": dict(temperature=1.7),
    "dkl_loss": dict(alpha=3.0, beta=2.0),
    "ikl_loss": dict(alpha=3.0, beta=2.0, temperature=1.7, target_temperature=0.6),
    "gkl_loss": dict(alpha=3.0, beta=2.0, gamma=0.3, temperature=1.7),
}


def arrays(seed=0, dtype=jnp.float64):
    """A student and a teacher as dicts of arrays, and weights of the tokens."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: jnp.asarray(rng.standard_normal(shape), dtype)

    def side(width, scale, soft_cap):
        return {
            "hidden": draw(TOKENS, width),
            "kernel": draw(width, CLASSES),
            "bias": draw(CLASSES),
            "scale": jnp.asarray(scale, jnp.promote_types(dtype, jnp.float32)),
            "soft_cap": jnp.asarray(soft_cap, jnp.promote_types(dtype, jnp.float32)),
        }

    return side(WIDTH, 1.3, 4.0), side(OTHER_WIDTH, 0.7, 3.0), draw(TOKENS)


def dense_logits(side):
    """The logits of a head, `[T, V]`, all at once."""
    x = jnp.dot(
        side["hidden"], side["kernel"], preferred_element_type=side["scale"].dtype
    )
    x = side["scale"] * x + side["bias"].astype(x.dtype)[None]
    return side["soft_cap"] * jnp.tanh(x / side["soft_cap"])


def indices_of(logits):
    return jnp.argsort(-logits, axis=1)[:, :K].astype(jnp.int32)


def targets(form, teacher):
    """A teacher's target, and a function of the student's logits that the dense loss is given.

    The function returns both logits; the arrays of the teacher receive gradient.
    """
    m = dense_logits(teacher)
    top = jax.lax.stop_gradient(indices_of(m))
    picked = jnp.take_along_axis(m, top, axis=1)
    is_top = jnp.zeros(m.shape, bool).at[jnp.arange(len(m))[:, None], top].set(True)
    if form == "head":
        return Head(**teacher), lambda n: (n, m)
    if form == "logits":
        return m, lambda n: (n, m)
    if form == "top k":
        return TopK(picked, top), lambda n: (n, jnp.where(is_top, m, -jnp.inf))
    rest = lambda x: jax.nn.logsumexp(jnp.where(is_top, -jnp.inf, x), axis=1)

    def coarse(x):
        return jnp.concatenate(
            [jnp.take_along_axis(x, top, axis=1), rest(x)[:, None]], axis=1
        )

    return TopKWithRest(picked, top, rest(m)), lambda n: (coarse(n), coarse(m))


def weights_of(kind, dtype=jnp.float64, seed=3):
    """Weights as `linear_head` takes them, and their rows, `[T, V]`."""
    rng = np.random.default_rng(seed)
    table = jnp.asarray(rng.dirichlet(np.ones(CLASSES), GROUPS), dtype)
    groups = jnp.arange(TOKENS) % GROUPS
    if kind == "shared":
        return table[0], jnp.broadcast_to(table[0], (TOKENS, CLASSES))
    return Grouped(table, groups), table[groups]


def coarse_weights(form, rows, teacher):
    """The rows of weights as the dense loss of this form takes them."""
    if form != "top k with rest":
        return rows
    top = indices_of(dense_logits(teacher))
    picked = jnp.take_along_axis(rows, top, axis=1)
    return jnp.concatenate([picked, (rows.sum(1) - picked.sum(1))[:, None]], axis=1)


def losses(name, form, kind="sample", **changed):
    """Our losses and the dense ones, both of (student, teacher), `[T]`."""
    ours, dense = getattr(linear_head, name), getattr(ikl_jax, name)
    chunk_size = changed.pop("chunk_size", 4)
    options = OPTIONS[name] | changed

    def of_head(student, teacher, **more):
        target, _ = targets(form, teacher)
        given = () if kind == "sample" else (weights_of(kind)[0],)
        more = dict(chunk_size=chunk_size) | more
        return ours(Head(**student), target, *given, **options, **more)

    def of_logits(student, teacher):
        n, m = targets(form, teacher)[1](dense_logits(student))
        given = ()
        if kind != "sample":
            given = (coarse_weights(form, weights_of(kind)[1], teacher),)
        return dense(n, m, *given, **options)

    return of_head, of_logits


every_loss = pytest.mark.parametrize("name", NAMES)
every_form = pytest.mark.parametrize("form", FORMS)


def value_and_gradients(loss, cotangent):
    """The losses, and the gradients of a sum of them weighted by `cotangent`."""

    def total(student, teacher):
        found = loss(student, teacher)
        return jnp.sum(cotangent * found), found

    return jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))


def assert_close(found, expected, tolerance):
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance),
        found, expected,
    )  # fmt: skip
