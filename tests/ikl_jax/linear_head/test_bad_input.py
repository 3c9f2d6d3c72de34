"""Bad arguments of the losses of a linear head, and the sentences that name them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import linear_head
from ikl_jax.linear_head import Grouped, Head, TopK, TopKWithRest

T, H, V = 4, 3, 5
STUDENT = Head(jnp.ones((T, H)), jnp.ones((H, V)))
LOGITS = jnp.zeros((T, V))
TWO, FIRST = jnp.zeros((T, 2)), jnp.broadcast_to(jnp.arange(2), (T, 2))


def ikl(student=STUDENT, target=LOGITS, *args, **given):
    return linear_head.ikl_loss(student, target, *args, **given)


BAD_INPUT = {
    "heads of other vocabularies": (
        lambda: ikl(target=Head(jnp.ones((T, 2)), jnp.ones((2, 7)))),
        ValueError,
        r"student and target must have one vocabulary, got kernels \(3, 5\) and "
        r"\(2, 7\); pad the smaller one and leave the padding out with `where`",
    ),
    "heads of other tokens": (
        lambda: ikl(target=Head(jnp.ones((2, H)), jnp.ones((H, V)))),
        ValueError,
        r"student and target must have the same tokens, got hidden states \(4, 3\) and \(2, 3\)",
    ),
    "logits of another vocabulary": (
        lambda: ikl(target=LOGITS[:, :4]),
        ValueError,
        r"target must be a Head, a TopK, a TopKWithRest or logits of shape \(4, 5\), got shape \(4, 4\)",
    ),
    "a tuple in place of the target's head": (
        lambda: ikl(target=(STUDENT.hidden, STUDENT.kernel)),
        TypeError,
        "target must be a Head, a TopK, a TopKWithRest or logits, got tuple",
    ),
    "k larger than V": (
        lambda: ikl(target=TopK(jnp.zeros((T, 6)), jnp.zeros((T, 6), int))),
        ValueError,
        "target must have 1 to 5 logits a token, as many as there are classes, got k = 6",
    ),
    "an index out of range": (
        lambda: ikl(target=TopK(TWO, FIRST + 4)),
        ValueError,
        r"target.indices must lie in \[0, 5\), got values from 4 to 5",
    ),
    "an index twice": (
        lambda: ikl(target=TopK(TWO, FIRST * 0 + 3)),
        ValueError,
        "target.indices must be different within a token, got class 3 twice for token 0",
    ),
    "indices of another shape": (
        lambda: ikl(target=TopK(TWO, FIRST[:, :1])),
        ValueError,
        r"target.logits and target.indices must both have shape \(4, k\), got \(4, 2\) and \(4, 1\)",
    ),
    "float indices": (
        lambda: ikl(target=TopK(TWO, TWO)),
        TypeError,
        "target.indices must be integers, got float32",
    ),
    "the rest of other tokens": (
        lambda: ikl(target=TopKWithRest(TWO, FIRST, jnp.zeros(3))),
        ValueError,
        r"target.rest must have shape \(4,\), got \(3,\)",
    ),
    "a chunk of nothing": (
        lambda: ikl(chunk_size=0), ValueError, "chunk_size must be >= 1, got 0",
    ),
    "a chunk of parts": (
        lambda: ikl(chunk_size=2.5),
        TypeError,
        "chunk_size must be an integer, a number of tokens, or None, got 2.5",
    ),
    "integer hidden states": (
        lambda: ikl(STUDENT._replace(hidden=jnp.ones((T, H), int))),
        TypeError,
        "student.hidden must be floating point, got int32",
    ),
    "integer hidden states of the target": (
        lambda: ikl(target=STUDENT._replace(hidden=jnp.ones((T, H), int))),
        TypeError,
        "target.hidden must be floating point, got int32",
    ),
    "a negative chunk": (
        lambda: ikl(chunk_size=-2), ValueError, "chunk_size must be >= 1, got -2",
    ),
    "sequences": (
        lambda: ikl(STUDENT._replace(hidden=jnp.ones((2, 2, H)))),
        ValueError,
        r"student.hidden must have 2 dimensions, got shape \(2, 2, 3\); "
        r"hidden.reshape\(-1, H\) makes one row a token",
    ),
    "a kernel of other hidden states": (
        lambda: ikl(STUDENT._replace(kernel=jnp.ones((2, V)))),
        ValueError,
        r"student.kernel must have as many rows as student.hidden has columns, got hidden \(4, 3\), kernel \(2, 5\)",
    ),
    "a bias of another vocabulary": (
        lambda: ikl(STUDENT._replace(bias=jnp.ones(4))),
        ValueError,
        r"student.bias must have shape \(5,\), got \(4,\)",
    ),
    "a soft cap of zero": (
        lambda: ikl(STUDENT._replace(soft_cap=0.0)),
        ValueError,
        "student.soft_cap must be > 0, got 0",
    ),
    "logits in place of the student": (
        lambda: ikl(LOGITS), TypeError, "student must be a Head, got ArrayImpl",
    ),
    "weights of each token": (
        lambda: ikl(STUDENT, LOGITS, LOGITS),
        ValueError,
        r"weights must be None, have shape \(5,\), the vocabulary's, or be Grouped\(table, groups\), got shape \(4, 5\)",
    ),
    "negative weights": (
        lambda: ikl(STUDENT, LOGITS, -jnp.ones(V)), ValueError, "weights must be >= 0, got -1",
    ),
    "a table of another vocabulary": (
        lambda: ikl(STUDENT, LOGITS, Grouped(jnp.ones((2, 4)), jnp.zeros(T, int))),
        ValueError,
        r"weights.table must have shape \(G, 5\), got \(2, 4\)",
    ),
    "a group out of range": (
        lambda: ikl(STUDENT, LOGITS, Grouped(jnp.ones((2, V)), jnp.full(T, 2))),
        ValueError,
        r"weights.groups must lie in \[0, 2\), got values from 2 to 2",
    ),
    "a mask of tokens without the axis of classes": (
        lambda: ikl(where=jnp.ones(T, bool)),
        ValueError,
        r"where must broadcast to the logits' shape \(4, 5\), got \(4,\); a mask of examples is where\[..., None\]",
    ),
    "a mask of integers": (
        lambda: ikl(where=(jnp.ones(V, int),)), TypeError, "where must be boolean, got int32",
    ),
    "weights of other tokens": (
        lambda: ikl(example_weights=jnp.ones(3)),
        ValueError,
        r"example_weights must have shape \(4,\), got \(3,\)",
    ),
    "alpha of other tokens": (
        lambda: ikl(alpha=jnp.ones(3)),
        ValueError,
        r"alpha must be a scalar or have shape \(4,\), one value an example",
    ),
    "temperature": (
        lambda: ikl(temperature=0.0), ValueError, "temperature must be > 0, got 0",
    ),
    "gamma": (
        lambda: linear_head.gkl_loss(STUDENT, LOGITS, gamma=-1.0),
        ValueError,
        "gamma must be >= 0, got -1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input(name):
    call, error, message = BAD_INPUT[name]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "target",
    [
        TopK(TWO, FIRST.at[1, 0].set(V)),
        TopKWithRest(TWO, FIRST.at[1, 0].set(-1), TWO[:, 0]),
    ],
)
def test_an_index_out_of_range_is_nan_under_jit(target):
    losses = jax.jit(linear_head.kl_divergence)(STUDENT, target)
    assert np.isnan(losses).tolist() == [False, True, False, False]


def test_a_group_out_of_range_is_nan_under_jit():
    groups = jnp.array([0, -1, 1, 2])
    losses = jax.jit(ikl)(STUDENT, LOGITS, Grouped(jnp.ones((2, V)), groups))
    assert np.isnan(losses).tolist() == [False, True, False, True]
