"""Trajectories of PGD and APGD beside stored ones and beside the description."""

import jax
import numpy as np
import pytest

import ikl_jax
from tests.ikl_jax import test_golden
from tests.ikl_jax.attacks.apgd import test_iterates


@pytest.mark.parametrize("unroll", [None, 1])
def test_a_pgd_trajectory(golden_losses, unroll):
    params, x, _, weights = test_golden.adversarial_setting(golden_losses, "float32")
    number = lambda name: float(golden_losses[f"pgd/{name}"])

    @jax.jit
    def attacked(params, x, x_init):
        natural = test_golden.mlp(params, x)
        return ikl_jax.attacks.pgd(
            lambda x: ikl_jax.ikl_loss(test_golden.mlp(params, x), natural, weights),
            x, epsilon=number("epsilon"), step_size=number("step_size"),
            steps=int(number("steps")), x_init=x_init, unroll=unroll,
        )  # fmt: skip

    x_init = x + 0.001 * golden_losses["pgd/noise"].astype("float32")
    x_adv = attacked(params, x, x_init)
    np.testing.assert_allclose(x_adv, golden_losses["pgd/x_adv"], rtol=0, atol=2e-5)


@pytest.mark.skipif(
    jax.default_backend() == "tpu", reason="a TPU has no float64, which this one needs"
)
@pytest.mark.usefixtures("x64")
def test_an_apgd_trajectory():
    test_iterates.test_iterates_agree_with_the_description("linf", 0.15, 50, None)
