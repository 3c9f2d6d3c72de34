"""Rows that are computed in several passes over blocks of their classes."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import kernels
from ikl_jax.kernels.blocks import Blocks
from tests.ikl_jax.kernels.cases import (
    IN_BLOCKS,
    ON_GPU,
    READ_AGAIN,
    Case,
    losses,
    values_and_gradients,
)

SHAPES = {
    "no block divides them": (5, 300),
    "a block of each": (8, 256),
    "one class in the last block": (20, 257),
    "one row": (1, 400),
}


def reduced(x, bias, each):
    """All reductions, of three levels, with an argument of one row and of one column."""
    y = x.astype(jnp.float32) + bias
    top = y.max(axis=1, keepdims=True)
    total = jnp.where(y < 0, jnp.exp(y - top), 0.0).sum(axis=1, keepdims=True)
    least = (y + total).min(axis=1, keepdims=True) - total + each
    some = ((y > 1.5) & (total > 0)).any(axis=1, keepdims=True)
    every = (y > least).all(axis=1, keepdims=True)
    return [(y / total).astype(x.dtype), least, jnp.where(some, top, 0.0), every * 1.0]


def arguments(shape, dtype=np.float32):
    rows, classes = shape
    rng = np.random.default_rng(classes)
    x, bias = (rng.normal(size=one) for one in (shape, (1, classes)))
    x[0] -= 5  # in no class is it above the bound
    each = np.linspace(-1, 1, rows)[:, None]
    return [jnp.asarray(x, dtype), *(jnp.float32(one) for one in (bias, each))]


PAIRS = {
    f"{name}, {form}": (shape, of)
    for name, shape in SHAPES.items()
    for form, of in (("blocks", IN_BLOCKS), ("gpu", ON_GPU))
} | {"blocks that are read again": ((20, 17_000), READ_AGAIN)}


@pytest.mark.parametrize(("shape", "form"), PAIRS.values(), ids=PAIRS)
def test_all_reductions(shape, form):
    given = arguments(shape)
    found = jax.jit(lambda *each: form(reduced, each))(*given)
    expected = jax.jit(reduced)(*given)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    for some in found[2:]:
        assert shape[0] == 1 or 0 < np.count_nonzero(some) < shape[0]


@pytest.mark.parametrize("form", [IN_BLOCKS, ON_GPU], ids=["blocks", "gpu"])
def test_nan_is_the_largest_and_the_smallest_number(form):
    def function(x):
        return [x.max(axis=1, keepdims=True), x.min(axis=1, keepdims=True)]

    x = arguments((3, 300))[0].at[1, 40].set(jnp.nan).at[2, 299].set(jnp.nan)
    for found in form(function, [x]):
        np.testing.assert_array_equal(np.isnan(found[:, 0]), [False, True, True])


def grids(function, *shapes):
    """The blocks of rows, passes and blocks of classes of each kernel of a program."""
    text = str(jax.make_jaxpr(function)(*shapes))
    return [
        tuple(map(int, each))
        for each in re.findall(r"grid=\((\d+), (\d+), (\d+)\)", text)
    ]


# How many times a block is read for the losses alone, and for a sum with gradients. The
# table in docs/performance.md says the same.
PASSES = {
    "kl_divergence": (3, 5),
    "soft_cross_entropy": (2, 3),
    "kd_loss": (3, 4),
    "dkl_loss": (3, 4),
    "ikl_loss": (3, 4),
    "gkl_loss": (3, 4),
}


@pytest.mark.parametrize("name", PASSES)
def test_the_passes_of_a_loss(name):
    form = kernels.Mosaic(classes=1024)
    given = [jax.ShapeDtypeStruct((24, 5000), jnp.float32)] * 2
    options = {"normalizer": 1.0} if name == "gkl_loss" else {}
    loss = functools.partial(getattr(kernels, name), form=form, **options)
    total = lambda n, m: loss(n, m, example_weights=jnp.ones(24))
    values, gradients = PASSES[name]
    assert grids(loss, *given) == [(3, values, 5)]
    assert grids(jax.value_and_grad(total, (0, 1)), *given) == [(3, gradients, 5)]


def test_given_weights_need_a_pass_less():
    given = [jax.ShapeDtypeStruct((24, 5000), jnp.float32)] * 3
    loss = functools.partial(kernels.ikl_loss, form=kernels.Mosaic(classes=1024))
    total = lambda n, m, w: loss(n, m, w, example_weights=jnp.ones(24))
    assert grids(loss, *given) == [(3, 2, 5)]
    assert grids(jax.value_and_grad(total, (0, 1)), *given) == [(3, 3, 5)]


def test_rows_are_whole_where_they_fit_a_v4():
    loss = functools.partial(kernels.kl_divergence, form=kernels.Mosaic())
    for classes, expected in ((1000, []), (152_000, [(3, 3, 19)])):
        given = [jax.ShapeDtypeStruct((24, classes), jnp.float32)] * 2
        assert grids(loss, *given) == expected


@pytest.mark.parametrize(
    ("classes", "memory", "most", "expected"),
    [
        (1000, 14, None, (1000, 1, 2)),
        (80_000, 14, None, (8064, 10, 2)),
        (152_000, 14, None, (8064, 19, 1)),
        (152_000, 14, 4096, (4096, 38, 1)),
        (300_000, 14, None, (8192, 37, 0)),
        (152_000, 1, None, (2048, 75, 0)),
        (152_000, 200, None, (152_000, 1, 2)),
        (100, 14, 128, (100, 1, 2)),
    ],
)
def test_blocks(classes, memory, most, expected):
    array = jax.ShapeDtypeStruct((64, classes), jnp.float32)
    found = Blocks.create([array] * 2, [array] * 2, memory << 20, most)
    assert (found.width, found.class_blocks, found.copies) == expected
    assert found.width * found.class_blocks >= classes


@pytest.mark.parametrize("name", ["kl_divergence", "ikl_loss"])
def test_a_loss_of_blocks_that_are_read_again(name):
    case = Case((16, 17_000), (jnp.float32, jnp.bfloat16))
    given = *case.logits(), {}
    (expected, wanted), (found, gradients) = (
        values_and_gradients(loss, *given) for loss in losses(name, case, READ_AGAIN)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for ours, theirs in zip(gradients[:2], wanted[:2], strict=True):
        size = np.max(np.abs(np.float32(theirs)))
        np.testing.assert_allclose(
            np.float32(ours), np.float32(theirs), rtol=8e-3, atol=1e-5 * size
        )


def test_a_function_that_is_not_of_blocks_is_refused():
    x = arguments((4, 300))[:1]
    for function in (
        lambda x: [jnp.cumsum(x, axis=1)],
        lambda x: [x[:, :3]],
        lambda x: [jnp.prod(x, axis=1, keepdims=True)],
        lambda x: [jnp.sum(x).reshape(1, 1)],
    ):
        with pytest.raises(NotImplementedError):
            IN_BLOCKS(function, x)
