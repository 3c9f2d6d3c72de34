"""Loops that are compiled in another form on each backend."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax.attacks.common import loops

X = jnp.full((3, 4), 0.5)


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_sums_are_the_same_side_by_side_or_in_turn(backend, count, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    got = loops.total(lambda i: {"a": i * X, "b": jnp.cos(i)}, count)
    np.testing.assert_allclose(got["a"], sum(range(count)) * X)
    np.testing.assert_allclose(got["b"], np.cos(np.arange(count)).sum(), rtol=1e-5)
