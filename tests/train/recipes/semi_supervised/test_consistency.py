"""The recipe's own loss beside golden values, and what each consistency computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.ikl_jax import test_golden as golden_cases
from tests.support.references import reference
from tests.support.semi_supervised import config
from train.networks import classes
from train.recipes.losses import Target
from train.recipes.semi_supervised import consistency, step
from train.recipes.semi_supervised.pseudo_labels import PseudoLabels

KIND = "ikl_ssl"
CASES = [
    case if case == "B8_C10_s1" else pytest.param(case, marks=pytest.mark.long)
    for case, kind in golden_cases.CASES
    if kind == KIND
]


def values_of(golden, case):
    prefix = f"{case}/{KIND}/"
    found = {k.removeprefix(prefix): v for k, v in golden.items() if prefix in k}
    return found | {k: golden[f"{case}/{k}"] for k in ("logits_n", "logits_m", "mask")}


@pytest.mark.parametrize("case", CASES)
def test_golden_values_and_gradients(golden_losses, x64, case):
    """The mask is the golden one; weights and targets are what the recipe makes."""
    given = values_of(golden_losses, case)
    whole = config(
        "fixmatch", loss__name="ikl", loss__alpha=float(given["alpha"]),
        loss__beta=float(given["beta"]),
        loss__weight_temperature=float(given["weight_temperature"]),
        unlabelled__target_temperature=float(given["temperature"]),
    )  # fmt: skip
    mask = jnp.asarray(given["mask"]) > 0

    def loss(n, m):
        m = jax.lax.stop_gradient(m)
        pseudo = PseudoLabels.of(m, 0.0, whole.loss, None)._replace(mask=mask)
        return step.masked_mean(whole, n, m, pseudo)

    n, m = (jnp.asarray(given[f"logits_{name}"]) for name in "nm")
    value, (to_n, to_m) = jax.value_and_grad(loss, (0, 1))(n, m)
    for ours, name in ((value, "value"), (to_n, "grad_n")):
        close = dict(rtol=0, atol=1e-9 * np.abs(given[name]).max() + 1e-15)
        np.testing.assert_allclose(ours, given[name], **close)
    assert not np.any(to_m)
    assert not np.any(given["grad_m"])


def of(name, n, m, **changed):
    """One value for each row of logits, in float64."""
    whole = config("fixmatch", loss__name=name, **changed)
    labels, weights = jnp.argmax(m, axis=-1), jax.nn.softmax(m)
    return consistency.losses(whole, n, Target(m, labels, weights))


TEMPERATURES = dict(loss__temperature=2.0, unlabelled__target_temperature=0.5)


@pytest.mark.long
def test_values_at_two_temperatures(x64):
    """The prediction's is 2, the target's 1/2; squared errors of IKL are of raw logits."""
    n, m = np.random.default_rng(0).standard_normal((2, 6, 4))
    p, q = reference.softmax(n / 2), reference.softmax(m / 0.5)
    log_p = reference.log_softmax(n / 2)
    soft = -(q * log_p).sum(-1)
    expected = {
        "ce": -log_p[np.arange(6), m.argmax(-1)],
        "soft_ce": soft,
        "mse": ((p - q) ** 2).mean(-1),
        "kl": soft + (q * np.log(q)).sum(-1),
        "ikl": 2 * reference.weighted_mse(n, m, reference.softmax(m)) + soft,
        "dkl": 2 * reference.weighted_mse(n / 2, m / 0.5, q) + soft,
    }
    for name, values in expected.items():
        ours = of(name, jnp.asarray(n), jnp.asarray(m), **TEMPERATURES)
        np.testing.assert_allclose(ours, values, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", ["ce", "soft_ce", "mse", "ikl"])
def test_padded_classes_change_nothing(name):
    n, m = np.random.default_rng(0).standard_normal((2, 6, 4)).astype(np.float32)
    padded = [classes.fitted(jnp.asarray(logits), 4, 7) for logits in (n, m)]
    np.testing.assert_allclose(
        of(name, *padded, **TEMPERATURES), of(name, n, m, **TEMPERATURES), rtol=2e-5
    )
