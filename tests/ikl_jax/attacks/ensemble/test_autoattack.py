"""AutoAttack: what counts, and that batches, order and devices change no verdict."""

import warnings

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from tests.ikl_jax.attacks.ensemble.problems import (
    CLASSES,
    COUNT,
    FAST,
    KEY,
    data,
    evaluate,
)


def test_what_is_robust_and_what_fell(expected):
    logits_fn, x, labels = data()
    clean = np.asarray(logits_fn(jnp.asarray(x)).argmax(1)) == labels
    assert not expected.robust[:3].any()
    assert 0 < expected.robust.sum() < clean.sum()
    wrong = np.asarray(logits_fn(jnp.asarray(expected.x_adv)).argmax(1)) != labels
    np.testing.assert_array_equal(wrong, ~expected.robust)
    assert np.abs(expected.x_adv - x).max() <= 0.08 * (1 + 1e-5)
    np.testing.assert_array_equal(expected.x_adv[expected.robust], x[expected.robust])
    names = [stage.name for stage in expected.stages]
    assert names == ["clean", *FAST]
    accuracies = [stage.robust_accuracy for stage in expected.stages]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] == clean.mean()
    assert accuracies[-1] == expected.robust_accuracy
    assert expected.notes == ()


@pytest.mark.long
@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_the_batch_size_changes_nothing(expected, batch_size):
    result = evaluate(*data(), batch_size=batch_size)
    np.testing.assert_array_equal(result.robust, expected.robust)
    np.testing.assert_allclose(result.x_adv, expected.x_adv, atol=1e-5)


@pytest.mark.long
def test_the_order_changes_nothing(expected):
    logits_fn, x, labels = data()
    order = np.random.default_rng(1).permutation(COUNT)
    result = evaluate(logits_fn, x[order], labels[order])
    np.testing.assert_array_equal(result.robust, expected.robust[order])
    np.testing.assert_allclose(result.x_adv, expected.x_adv[order], atol=1e-5)


@pytest.mark.long
def test_eight_devices_find_what_one_finds(expected):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    result = evaluate(*data(), sharding=sharding, batch_size=11)
    np.testing.assert_array_equal(result.robust, expected.robust)
    np.testing.assert_allclose(result.x_adv, expected.x_adv, atol=1e-5)


SMALL = {
    "two classes": (dict(classes=2), 0.08, "differences of logits"),
    "three classes": (dict(classes=3), 0.08, "differences of logits"),
    "flat vectors": (dict(shape=(9,)), 0.08, "Square was not run"),
    # In a larger ball none of so many coordinates' images would be left.
    "three channels": (dict(shape=(2, 5, 3)), 0.02, None),
}


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "two classes" else pytest.mark.slow)
        for name in SMALL
    ],
)
def test_few_classes_and_other_shapes(name):
    changed, epsilon, note = SMALL[name]
    given = data(count=8, **changed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = evaluate(*given, version="standard", epsilon=epsilon)
    notes = [str(warning.message) for warning in caught]
    assert list(result.notes) == notes
    assert any(note in text for text in notes) if note else not notes
    expected = ["clean", "apgd-ce", "apgd-t", "fab-t", "square"]
    left_out = name == "flat vectors"
    assert [s.name for s in result.stages] == expected[: 4 if left_out else 5]
    assert 0 < result.robust_accuracy < 1


@pytest.mark.long
def test_nnx_and_linen_are_attacked_as_the_plain_function():
    _, x, labels = data(count=8)
    first, last = (
        nnx.Linear(12, 16, rngs=nnx.Rngs(0)),
        nnx.Linear(16, 5, rngs=nnx.Rngs(1)),
    )
    model = nnx.Sequential(lambda x: x.reshape(len(x), -1), first, jnp.tanh, last)
    graph, state = nnx.split(model)
    kernels = [(layer.kernel[...], layer.bias[...]) for layer in (first, last)]

    def plain(x):
        (w, b), (v, c) = kernels
        return jnp.tanh(x.reshape(len(x), -1) @ w + b[None]) @ v + c[None]

    linen = nn.Sequential(
        [lambda x: x.reshape(len(x), -1), nn.Dense(16), jnp.tanh, nn.Dense(5)]
    )
    params = {
        f"layers_{i}": {"kernel": w, "bias": b}
        for i, (w, b) in zip((1, 3), kernels, strict=True)
    }
    labels = np.asarray(plain(jnp.asarray(x)).argmax(1))
    results = [
        evaluate(fn, x, labels, version=["apgd-ce"], epsilon=0.2)
        for fn in (
            plain,
            lambda x: nnx.merge(graph, state)(x),
            lambda x: linen.apply({"params": params}, x),
        )
    ]
    assert 0 < results[0].robust.sum() < 8
    for result in results[1:]:
        np.testing.assert_array_equal(result.robust, results[0].robust)


def test_the_fast_version_says_that_it_is_an_upper_bound():
    with pytest.warns(UserWarning, match="an upper bound of the robust accuracy"):
        result = evaluate(*data(count=6), version="apgd")
    assert "upper bound" in result.notes[0]


@pytest.mark.slow
def test_a_randomised_network_is_attacked_in_the_mean():
    logits_fn, x, labels = data(count=6)

    def noisy(x, key):
        return logits_fn(x) + 0.1 * jax.random.normal(key, (len(x), CLASSES))

    result = evaluate(noisy, x, labels, version="rand")
    again = evaluate(noisy, x, labels, version="rand", batch_size=2)
    np.testing.assert_array_equal(result.robust, again.robust)
    assert [stage.name for stage in result.stages][1:] == [
        "apgd-ce-eot",
        "apgd-dlr-eot",
    ]
    assert 0 < result.robust_accuracy < 1


BAD = {
    "epsilon": (dict(epsilon=0.0), ValueError, "epsilon must be > 0, got 0"),
    "norm": (dict(norm="l3"), ValueError, "unknown norm 'l3'"),
    "version": (dict(version="standrad"), ValueError, "did you mean 'standard'"),
    "attack": (dict(version=["sqare"]), ValueError, "unknown attack 'sqare'"),
    "no attack": (dict(version=[]), ValueError, "must name an attack"),
    "key": (dict(key=jax.random.split(KEY, 2)), ValueError, "key must be one key"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(name):
    changed, kind, message = BAD[name]
    with pytest.raises(kind, match=message):
        evaluate(*data(count=4), **changed)


def test_bad_data_and_logits():
    logits_fn, x, labels = data(count=4)
    for given, kind, message in (
        (
            (logits_fn, 255 * x, labels),
            ValueError,
            r"x must lie within bounds \[0.0, 1.0\]",
        ),
        (
            (logits_fn, x.astype(np.uint8), labels),
            TypeError,
            "x must be floating point",
        ),
        ((logits_fn, x, labels + 5), ValueError, r"labels must lie in \[0, 5\)"),
        ((logits_fn, x, labels.astype(float)), TypeError, "labels must be integers"),
        ((logits_fn, x, labels[:3]), ValueError, "one class for each example"),
        (
            (lambda x: logits_fn(x)[:1], x, labels),
            ValueError,
            "a row of logits for each",
        ),
        ((lambda x: logits_fn(x) / 0, x, labels), ValueError, "finite logits, got"),
        (
            (lambda x: logits_fn(x)[:, :1], x, 0 * labels),
            ValueError,
            "2 or more classes",
        ),
    ):
        with pytest.raises(kind, match=message):
            evaluate(*given, version=["apgd-ce"])
    with pytest.raises(TypeError, match="call it outside of jit"):
        jax.jit(lambda x: evaluate(logits_fn, x, labels))(x)
