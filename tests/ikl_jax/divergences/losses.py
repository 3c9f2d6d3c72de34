"""One table of all losses, each with its definition, for the tests of this folder."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ikl_jax
from tests.support.references import reference

LABELS = jnp.array([1, 0, 4, 2, 3, 1])


WEIGHTS = jnp.asarray(np.random.default_rng(2).dirichlet(np.ones(5), 6), jnp.float32)


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
        lambda n, m: ikl_jax.weighted_mse(n, m, rows(WEIGHTS, n)),
        lambda n, m: reference.weighted_mse(n, m, rows(WEIGHTS, n)),
    ),
    "dkl": (
        lambda n, m: ikl_jax.dkl_loss(n, m, alpha=3.0, beta=2.0),
        lambda n, m: reference.ikl(n, m, reference.softmax(m), 3.0, 2.0),
    ),
    "ikl": (
        lambda n, m: ikl_jax.ikl_loss(
            n, m, rows(WEIGHTS, n), alpha=20.0, beta=4.0, temperature=3.0
        ),
        lambda n, m: reference.ikl(n, m, rows(WEIGHTS, n), 20.0, 4.0, 3.0),
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
        lambda n, m: ikl_jax.gkl_loss(n, m, rows(WEIGHTS, n), alpha=2.0, gamma=0.3),
        lambda n, m: reference.gkl(n, m, rows(WEIGHTS, n), 2.0, gamma=0.3),
    ),
    "kd": (
        lambda n, m: ikl_jax.kd_loss(n, m, temperature=4.0),
        lambda n, m: 16 * reference.kl(n, m, 4.0),
    ),
    "dkd": (
        lambda n, m: ikl_jax.dkd_loss(n, m, rows(LABELS, n[..., 0]), beta=2.0),
        lambda n, m: reference.dkd(n, m, np.asarray(LABELS), 1.0, 2.0, 4.0),
    ),
}


PER_EXAMPLE = [name for name in LOSSES if not name.startswith("gkl")]


def rows(table, like):
    """The table's rows for a batch of any leading shape, in a matching container."""
    rows = table[: int(np.prod(like.shape[: like.ndim - (table.ndim - 1)], dtype=int))]
    rows = rows.reshape(like.shape)
    if isinstance(like, jax.Array):
        return rows
    integers = jnp.issubdtype(rows.dtype, jnp.integer)
    return np.asarray(rows, None if integers else np.float64)


def logits(scale=1.0, seed=0, shape=(6, 5), dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(seed))
    return [(scale * jax.random.normal(key, shape)).astype(dtype) for key in keys]


def gradients(loss, n, m):
    return jax.grad(lambda n, m: loss(n, m).sum(), (0, 1))(n, m)


every_loss = pytest.mark.parametrize("name", LOSSES)
