"""The l1 ball within the box."""

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax.attacks.common import l1_box
from tests.ikl_jax.attacks.sizes import size
from tests.support.references import apgd_reference


def test_l1_projection_is_the_nearest_point_of_ball_and_box():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(40, 50)).astype(np.float32)
    x[:10] = np.round(x[:10])  # at the faces of the box
    z = x + rng.standard_normal(x.shape) * rng.uniform(0, 2, (40, 1))
    z = z.astype(np.float32)
    z[5], z[6, :25] = x[5], x[6, :25]
    z[7] = z[7, 0]  # all alike
    for epsilon in (0.0, 0.01, 1.0, 7.0, 100.0):
        got = np.asarray(l1_box.into(jnp.asarray(z - x), jnp.asarray(x), epsilon))
        expected = [
            apgd_reference.l1_in_box(*row, epsilon)
            for row in zip(z.astype(np.float64), x.astype(np.float64), strict=True)
        ]
        np.testing.assert_allclose(got, expected, atol=3e-6)
        assert (got >= 0).all()
        assert (got <= 1).all()


def test_l1_projection_of_many_coordinates_stays_in_the_ball():
    x = jax.random.uniform(jax.random.key(0), (2, 64, 64, 3))
    z = x + jax.random.normal(jax.random.key(1), x.shape)
    for epsilon in (0.5, 12.0, 300.0):
        projected = l1_box.into(z - x, x, epsilon)
        np.testing.assert_allclose(size(projected - x, "l1"), epsilon, rtol=1e-4)


def test_the_l1_projection_into_the_box_is_the_nearest_of_many_points():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.random((1, 6)), jnp.float32)
    delta = jnp.asarray(rng.standard_normal((1, 6)), jnp.float32)
    nearest = np.asarray(l1_box.project(delta, x, 1.0))[0]
    np.testing.assert_allclose(np.abs(nearest).sum(), 1.0, rtol=1e-5)
    points = np.clip(np.asarray(x) + rng.laplace(scale=0.3, size=(50_000, 6)), 0, 1)
    points = points - np.asarray(x)
    points = points[np.abs(points).sum(1) <= 1.0]
    near = nearest + 0.1 * (points - nearest)  # convex: still in both
    for others in (points, near):
        distances = np.linalg.norm(others - np.asarray(delta), axis=1)
        assert distances.min() > np.linalg.norm(nearest - np.asarray(delta)) - 1e-6
    inside = jnp.clip(delta, -x, 1 - x) * 0.1
    np.testing.assert_array_equal(l1_box.project(inside, x, 1.0), inside)
