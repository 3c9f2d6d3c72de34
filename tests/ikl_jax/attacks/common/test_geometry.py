"""The norms' sizes and their duals."""

import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax.attacks.common import geometry

ORDER = {"linf": np.inf, "l2": 2, "l1": 1}
DUAL = {"linf": 1, "l2": 2, "l1": np.inf}


@pytest.mark.parametrize("norm", ORDER)
def test_sizes_and_duals(norm):
    delta = np.random.default_rng(0).standard_normal((5, 7))
    for function, order in (
        (geometry.NORMS[norm].size, ORDER[norm]),
        (geometry.NORMS[norm].dual, DUAL[norm]),
    ):
        expected = np.linalg.norm(delta, order, axis=1)
        np.testing.assert_allclose(function(jnp.asarray(delta)), expected, rtol=1e-5)
        images = delta.astype(np.float32).reshape(5, 7, 1, 1)
        np.testing.assert_allclose(function(jnp.asarray(images)), expected, rtol=1e-5)
        assert function(jnp.zeros((3, 0))).shape == (3,)


@pytest.mark.parametrize("norm", ORDER)
def test_numpy_arrays_are_measured_in_their_own_precision(norm):
    delta = np.array([[1.0 + 2.0**-40, 0.0]])
    size = geometry.NORMS[norm].size(delta)
    assert isinstance(size, np.ndarray)
    assert size.dtype == np.float64
    np.testing.assert_allclose(size, delta[:, 0], rtol=1e-15)


def test_an_unknown_norm_is_named():
    with pytest.raises(ValueError, match="unknown norm 'l3'; did you mean 'l2'"):
        geometry.norm_named("l3")
