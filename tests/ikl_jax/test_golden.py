"""Comparison with stored values of the published definitions: losses, PGD, AWP..."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.lax import stop_gradient

import ikl_jax
from tests.conftest import GOLDEN, case_rows

OTHER_GROUPS = {"awp", "class_means", "mlp", "pgd"}
CASES = sorted(
    {
        tuple(key.split("/")[:2])
        for key in np.load(GOLDEN / "losses.npz").files
        if key.count("/") == 2 and key.split("/")[0] not in OTHER_GROUPS
    }
)


def loss_of(kind, values):
    """The library's loss of that kind as a function (n, m) -> scalar."""
    get = lambda name: float(values[name])
    dtype = values["dtype"]
    class_weights = jnp.asarray(values["class_weights"], dtype)
    labels = jnp.asarray(values["labels"])

    def sample_weights(m):
        return jax.nn.softmax(m / get("weight_temperature"))

    def loss(n, m):
        if kind == "kl":
            return ikl_jax.kl_divergence(n, m).mean()
        if kind == "kd":
            return ikl_jax.kd_loss(n, m, temperature=get("temperature")).mean()
        if kind == "dkd":
            return ikl_jax.dkd_loss(
                n,
                m,
                labels,
                alpha=get("alpha"),
                beta=get("beta"),
                temperature=get("temperature"),
            ).mean()
        if kind == "dkl":
            return ikl_jax.dkl_loss(n, m).mean()
        scales = dict(alpha=get("alpha"), beta=get("beta"))
        if kind.startswith("dkl"):
            return ikl_jax.dkl_loss(n, m, **scales).mean()
        if kind == "ikl_classwise":
            return ikl_jax.ikl_loss(n, m, class_weights, **scales).mean()
        if kind.startswith("gkl_at"):
            return ikl_jax.gkl_loss(
                n, m, class_weights, gamma=get("gamma"), **scales
            ).mean()
        m = stop_gradient(m)
        if kind == "ikl_ssl":
            losses = ikl_jax.ikl_loss(
                n, m, sample_weights(m), target_temperature=get("temperature"), **scales
            )
            return (losses * jnp.asarray(values["mask"], dtype)).mean()
        scales |= dict(temperature=get("temperature"))
        weights = class_weights if "class" in kind else sample_weights(m)
        if kind.startswith("gkl"):
            return ikl_jax.gkl_loss(n, m, weights, gamma=get("gamma"), **scales).mean()
        return ikl_jax.ikl_loss(n, m, weights, **scales).mean()

    return loss


def case_values(golden, batch, kind, dtype):
    values = {"dtype": dtype}
    for key in ("class_weights", "labels", "mask", "logits_n", "logits_m"):
        values[key] = golden[f"{batch}/{key}"]
    prefix = f"{batch}/{kind}/"
    return values | {
        key.removeprefix(prefix): value
        for key, value in golden.items()
        if key.startswith(prefix)
    }


def check_loss(golden, batch, kind, dtype, relative):
    values = case_values(golden, batch, kind, dtype)
    n, m = (jnp.asarray(values[key], dtype) for key in ("logits_n", "logits_m"))
    value, grads = jax.value_and_grad(loss_of(kind, values), (0, 1))(n, m)
    assert value.dtype == n.dtype
    expected = (values["value"], values["grad_n"], values["grad_m"])
    for ours, reference in zip((value, *grads), expected, strict=True):
        # Probabilities near 1 are subtracted: their last place is an absolute error.
        last_place = 8 * float(jnp.finfo(dtype).eps) / len(n)
        atol = relative * np.abs(reference).max() + last_place
        np.testing.assert_allclose(ours, reference, rtol=0, atol=atol)


QUICK = [case for case in CASES if case[0] == "B8_C10_s1"]
LARGE = [case for case in CASES if case[0] == "B2_C1000_s6"]


@pytest.mark.parametrize(
    ("batch", "kind"), case_rows(CASES, quick=QUICK, mark=pytest.mark.long)
)
def test_losses_float64(golden_losses, x64, batch, kind):
    check_loss(golden_losses, batch, kind, jnp.float64, 1e-9)


@pytest.mark.parametrize(
    ("batch", "kind"),
    [
        *case_rows(QUICK + LARGE, quick=QUICK, mark=pytest.mark.long),
        *case_rows([case for case in CASES if case not in QUICK + LARGE], quick=()),
    ],
)
def test_losses_float32(golden_losses, batch, kind):
    check_loss(golden_losses, batch, kind, jnp.float32, 2e-5)


def test_the_golden_cases_are_all_there():
    assert len({batch for batch, _ in CASES}) == 6
    assert len({kind for _, kind in CASES}) == 25
    assert len(CASES) == 146  # 150 without DKD of two classes, which is not defined


PRECISIONS = [("float64", 1e-9), ("float32", 2e-5)]


@pytest.fixture(params=PRECISIONS, ids=lambda p: p[0])
def precision(request):
    with jax.enable_x64(request.param[0] == "float64"):
        yield request.param


def test_class_means(golden_losses, precision):
    dtype, relative = precision
    means = ikl_jax.ClassMeans.create(10, dtype)
    temperature = float(golden_losses["class_means/temperature"])
    for i in range(3):
        logits = jnp.asarray(golden_losses[f"class_means/logits_{i}"], dtype)
        labels = jnp.asarray(golden_losses[f"class_means/labels_{i}"])
        means = means.accumulate(logits, labels, temperature=temperature)
    np.testing.assert_allclose(means.total, golden_losses["class_means/sum"], relative)
    mean = means.advance().mean
    np.testing.assert_allclose(mean, golden_losses["class_means/mean"], relative)


def mlp_params(golden, dtype, prefix="mlp"):
    return {
        layer: {
            name: jnp.asarray(golden[f"{prefix}/{layer}/{name}"], dtype)
            for name in ("kernel", "bias")
        }
        for layer in ("dense1", "dense2")
    }


def mlp(params, x):
    dense1, dense2 = params["dense1"], params["dense2"]
    hidden = jnp.tanh(x @ dense1["kernel"] + dense1["bias"][None])
    return hidden @ dense2["kernel"] + dense2["bias"][None]


def adversarial_setting(golden, dtype):
    x = jnp.asarray(golden["pgd/x"], dtype)
    labels = jnp.asarray(golden["pgd/labels"])
    means = ikl_jax.ClassMeans.create(5, dtype)
    means = means.replace(mean=jnp.asarray(golden["pgd/class_means"], dtype))
    return mlp_params(golden, dtype), x, labels, means.weights_for(labels)


@pytest.mark.parametrize("unroll", [None, 1, 5])
def test_pgd(golden_losses, precision, unroll):
    dtype, relative = precision
    params, x, _, weights = adversarial_setting(golden_losses, dtype)
    natural = mlp(params, x)
    x_adv = ikl_jax.attacks.pgd(
        lambda x: ikl_jax.ikl_loss(mlp(params, x), natural, weights),
        x,
        epsilon=float(golden_losses["pgd/epsilon"]),
        step_size=float(golden_losses["pgd/step_size"]),
        steps=int(golden_losses["pgd/steps"]),
        x_init=x + 0.001 * jnp.asarray(golden_losses["pgd/noise"], dtype),
        unroll=unroll,
    )
    np.testing.assert_allclose(x_adv, golden_losses["pgd/x_adv"], rtol=0, atol=relative)


def test_awp(golden_losses, precision):
    dtype, relative = precision
    params, x, labels, weights = adversarial_setting(golden_losses, dtype)
    x_adv = jnp.asarray(golden_losses["pgd/x_adv"], dtype)

    def loss(params):
        natural = mlp(params, x)
        log_probabilities = jax.nn.log_softmax(natural)
        label_mask = jax.nn.one_hot(labels, 5, dtype=dtype)
        cross_entropy = -jnp.sum(label_mask * log_probabilities, axis=-1)
        divergence = ikl_jax.ikl_loss(
            mlp(params, x_adv), natural, weights, alpha=20.0, beta=5.0
        )
        return jnp.mean(cross_entropy + divergence)

    value, grads = jax.value_and_grad(loss)(params)
    np.testing.assert_allclose(value, golden_losses["awp/loss"], relative)
    perturbed = ikl_jax.awp.perturb(params, grads, float(golden_losses["awp/gamma"]))
    for ours, prefix in ((grads, "awp/grad"), (perturbed, "awp/perturbed")):
        expected = mlp_params(golden_losses, dtype, prefix)
        for leaf, reference in zip(
            jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True
        ):
            scale = float(jnp.abs(reference).max())
            np.testing.assert_allclose(leaf, reference, rtol=0, atol=relative * scale)
