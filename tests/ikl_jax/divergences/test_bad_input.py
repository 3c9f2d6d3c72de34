"""Bad arguments of the losses, and the errors that name them."""

import jax
import numpy as np
import pytest

import ikl_jax
from tests.ikl_jax.divergences.losses import (
    LABELS,
    WEIGHTS,
    logits,
)

BAD_INPUT = {
    "other shapes": (
        lambda n, m: ikl_jax.ikl_loss(n, m[:, :4]),
        ValueError,
        r"shapes must be equal, got logits \(6, 5\), target_logits \(6, 4\)",
    ),
    "weights of another width": (
        lambda n, m: ikl_jax.ikl_loss(n, m, WEIGHTS[:, :4]),
        ValueError,
        r"got weights \(6, 4\), logits \(6, 5\)",
    ),
    "weights of one row": (
        lambda n, m: ikl_jax.gkl_loss(n, m, WEIGHTS[0]),
        ValueError,
        r"got weights \(5,\)",
    ),
    "negative weights": (
        lambda n, m: ikl_jax.weighted_mse(n, m, WEIGHTS - 1.0),
        ValueError,
        "weights must be >= 0, got -",
    ),
    "temperature": (
        lambda n, m: ikl_jax.kd_loss(n, m, temperature=0.0),
        ValueError,
        "temperature must be > 0, got 0",
    ),
    "target temperature": (
        lambda n, m: ikl_jax.soft_cross_entropy(n, m, target_temperature=-1.0),
        ValueError,
        "target_temperature must be > 0, got -1",
    ),
    "gamma": (
        lambda n, m: ikl_jax.gkl_loss(n, m, gamma=-0.5),
        ValueError,
        "gamma must be >= 0, got -0.5",
    ),
    "integers": (
        lambda n, m: ikl_jax.dkl_loss(n.astype(int), m),
        TypeError,
        "logits must be floating point, got int32",
    ),
    "scalars": (
        lambda n, m: ikl_jax.dkl_loss(n[0, 0], m[0, 0]),
        ValueError,
        "logits must have 1 or more dimensions",
    ),
    "labels out of range": (
        lambda n, m: ikl_jax.dkd_loss(n, m, LABELS + 1),
        ValueError,
        r"labels must lie in \[0, 5\), got values from 1 to 5",
    ),
    "labels of another shape": (
        lambda n, m: ikl_jax.dkd_loss(n, m, LABELS[:3]),
        ValueError,
        r"labels must have shape \(6,\), got \(3,\)",
    ),
    "float labels": (
        lambda n, m: ikl_jax.dkd_loss(n, m, LABELS.astype(float)),
        TypeError,
        "labels must be integers, got float32",
    ),
    "no class": (
        lambda n, m: ikl_jax.ikl_loss(n[:, :0], m[:, :0]),
        ValueError,
        "at least one",
    ),
    "one class": (
        lambda n, m: ikl_jax.dkd_loss(n[:, :1], m[:, :1], LABELS * 0),
        ValueError,
        "at least 2 classes",
    ),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input(name):
    call, error, message = BAD_INPUT[name]
    with pytest.raises(error, match=message):
        call(*logits())


def test_shapes_are_checked_while_tracing():
    n, m = logits()
    with pytest.raises(ValueError, match="shapes must be equal"):
        jax.jit(ikl_jax.ikl_loss)(n, m[:3])


def test_dkd_of_an_unknown_label_is_nan_under_jit():
    n, m = logits()
    losses = jax.jit(ikl_jax.dkd_loss)(n, m, LABELS.at[0].set(-1))
    assert np.isnan(losses[0])
    assert np.isfinite(losses[1:]).all()
