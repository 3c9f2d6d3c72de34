"""Golden losses and class means in float32, computed by the device in one program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ikl_jax
from tests.ikl_jax import test_golden
from tests.ikl_jax.test_golden import case_values, loss_of

RELATIVE = 2e-5


@pytest.mark.parametrize("batch", ["B8_C10_s1", "B2_C1000_s6"])
def test_golden_losses_and_both_gradients(golden_losses, batch):
    kinds = [kind for name, kind in test_golden.CASES if name == batch]
    values = {
        kind: case_values(golden_losses, batch, kind, jnp.float32) for kind in kinds
    }

    @jax.jit
    def every(n, m):
        return {
            kind: jax.value_and_grad(loss_of(kind, values[kind]), (0, 1))(n, m)
            for kind in kinds
        }

    n, m = (jnp.asarray(golden_losses[f"{batch}/logits_{s}"], "float32") for s in "nm")
    computed = every(n, m)
    assert len(kinds) >= 22
    for kind, (value, grads) in computed.items():
        expected = [values[kind][name] for name in ("value", "grad_n", "grad_m")]
        for ours, reference in zip((value, *grads), expected, strict=True):
            last_place = 8 * float(jnp.finfo("float32").eps) / len(n)
            atol = RELATIVE * np.abs(reference).max() + last_place
            np.testing.assert_allclose(ours, reference, rtol=0, atol=atol, err_msg=kind)


def test_class_means_of_three_batches(golden_losses):
    temperature = float(golden_losses["class_means/temperature"])

    @jax.jit
    def accumulated(means, logits, labels):
        return means.accumulate(logits, labels, temperature=temperature)

    means = ikl_jax.ClassMeans.create(10)
    for i in range(3):
        logits, labels = (
            jnp.asarray(golden_losses[f"class_means/{name}_{i}"], dtype)
            for name, dtype in (("logits", "float32"), ("labels", "int32"))
        )
        means = accumulated(means, logits, labels)
    for ours, name in ((means.total, "sum"), (means.advance().mean, "mean")):
        expected = golden_losses[f"class_means/{name}"]
        np.testing.assert_allclose(ours, expected, RELATIVE, err_msg=name)
