"""Arguments of the attacks: what is refused, which keys and labels serve; results."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import attacks
from ikl_jax.attacks.common import losses
from tests.ikl_jax.attacks.test_assumptions import (
    CLASSES,
    COUNT,
    KEY,
    WEIGHTS,
    WRONG,
    X,
    autoattack,
    plain,
    single,
)

BAD = {
    "one-hot labels": (
        dict(labels=np.eye(CLASSES)[WRONG]),
        ValueError,
        r"labels must have shape \(12,\), \[N\] integers, .* \(12, 5\) float64; of one-hot "
        r"labels take labels.argmax\(-1\)",
    ),
    "a column of labels": (
        dict(labels=WRONG[:, None]), ValueError, r"got \(12, 1\) int.*take labels\[:, 0\]"
    ),
    "labels of 64 bits": (
        dict(labels=WRONG.astype(np.int64) + 2**32), ValueError, "labels must be class numbers, got values"
    ),
    "infinity norm": (
        dict(norm=np.inf), ValueError, "norm must be one of 'l1', .*got inf; use 'linf'"
    ),
    "second norm": (dict(norm=2), ValueError, "got 2; use 'l2'"),
    "no norm": (dict(norm=None), ValueError, "norm must be one of .* got None$"),
    "seed": (dict(key=0), TypeError, r"key must be a key such as jax.random.key\(0\), got 0"),
    "array": (dict(key=jnp.zeros(2)), TypeError, r"got float32 \(2,\)"),
    "two keys": (dict(key=jax.random.PRNGKey(0)[None]), ValueError, "key must be one key"),
    "batches of none": (dict(batch_size=0), ValueError, "batch_size must be > 0, got 0"),
    "batches of less": (dict(batch_size=-8), ValueError, "batch_size must be > 0, got -8"),
    "half a batch": (dict(batch_size=7.5), ValueError, "batch_size must be an integer > 0"),
    "radii": (
        dict(epsilon=jnp.full(COUNT, 0.02)),
        ValueError,
        r"epsilon must be one number for all examples, got an array of shape \(12,\)",
    ),
    "radius in words": (dict(epsilon="8/255"), ValueError, "epsilon must be one number"),
    "endless": (dict(epsilon=np.inf), ValueError, "epsilon must be finite, got inf"),
    "version": (dict(version=3), ValueError, "version must be a name or a list of att"),
    "same class twice": (dict(classes=[0, 0, 1]), ValueError, "classes must be different"),
    "classes in words": (dict(classes=["cat"]), ValueError, "classes must be different"),
    "no class of a label": (dict(classes=[5, 6]), ValueError, "labels must be among class"),
    "no logits of a class": (
        dict(classes=[*range(CLASSES), 5]), ValueError, "classes must be less than the 5"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_named_in_one_sentence(name):
    changed, error, message = BAD[name]
    with pytest.raises(error, match=message) as raised:
        autoattack(**changed)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("apgd", dict(epsilon=jnp.full(COUNT, 0.1)), "one number for all examples"),
        ("square", dict(epsilon=jnp.full(COUNT, 0.1)), "one number for all examples"),
        ("apgd", dict(steps=1.5), "steps must be an integer >= 0, got 1.5"),
        ("square", dict(queries=True), "queries must be an integer > 0, got True"),
        ("fab", dict(steps=None), "steps must be an integer >= 0, got None"),
        ("distances", dict(batch_size=0), "batch_size must be > 0"),
        ("distances", dict(targets=1.5), "targets must be an integer > 0"),
        ("fab", dict(norm=1), "got 1; use 'l1'"),
        ("square", dict(norm=np.inf), "got inf; use 'linf'"),
    ],
)
def test_bad_arguments_of_single_attacks(name, changed, message):
    with pytest.raises(ValueError, match=message):
        single(name, plain, **changed)


@pytest.mark.parametrize("name", ["apgd", "square", "autoattack"])
def test_old_style_keys_are_taken(name):
    call = (
        autoattack if name == "autoattack" else lambda **kw: single(name, plain, **kw)
    )
    labels = np.asarray(plain(X).argmax(1))
    if name == "autoattack":
        labels = WRONG
    results = [
        call(labels=labels, key=key)
        for key in (jax.random.key(0), jax.random.PRNGKey(0))
    ]
    np.testing.assert_array_equal(results[0].x_adv, results[1].x_adv)
    assert getattr(results[1], "key", (0, 0)) == (0, 0)


@pytest.mark.long
def test_labels_of_one_byte_serve_more_classes_than_it_has():
    """300 classes: 3 and 259 are one number in eight bits."""
    rng = np.random.default_rng(0)
    labels = np.array([3, 4, 5, 43, 1, 0])
    logits = jnp.asarray(rng.standard_normal((6, 300)), jnp.float32)
    logits = logits.at[np.arange(6), labels + 256].set(9.0)
    for loss in (losses.margin, losses.dlr, losses.cross_entropy, losses.runner_up):
        np.testing.assert_array_equal(
            loss(logits, jnp.asarray(labels, jnp.uint8)),
            loss(logits, jnp.asarray(labels)),
        )
    bias = jnp.zeros((1, 300)).at[0, 3].set(0.1).at[0, 259].set(0.1 - 1e-3)
    slopes = jnp.asarray(rng.standard_normal((9, 300)) * 0.01, jnp.float32)
    logits_fn = lambda x: (x.reshape(len(x), -1) - 0.5) @ slopes + bias
    right = np.flatnonzero(np.asarray(logits_fn(X).argmax(1)) == 3)[:2]
    assert len(right) == 2
    found = [
        attacks.fab(logits_fn, X[right], np.full(2, 3, dtype), steps=3)
        for dtype in (np.uint8, np.int32)
    ]
    np.testing.assert_array_equal(found[0].distance, found[1].distance)


def test_a_result_is_shown_in_five_lines():
    result = autoattack()
    lines = repr(result).splitlines()
    assert len(lines) == 5
    assert lines[0] == (
        "Result(AutoAttack apgd-ce, linf epsilon 0.02: 0 of 12 examples are robust"
    )
    assert "clean 0.00 %, apgd-ce 0.00 %" in lines[1]
    assert "x_adv: float32 (12, 3, 3, 1)" in lines[2]
    found = single("fab", plain)
    shown = [
        "AttackResult(",
        "  x_adv: float32 (12, 3, 3, 1)",
        "  broken: bool (12,), 12 true",
        "  distance: float32 (12,)",
        "  queries: None)",
    ]
    assert repr(found).splitlines() == shown
    traced = []
    jax.jit(lambda found: traced.append(repr(found)) or found.distance)(found)
    assert len(traced[0].splitlines()) == 5
    assert "x_adv: (12, 3, 3, 1)" in repr(jax.tree.map(np.shape, found))


@pytest.mark.long
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_network_in_float64_is_attacked_in_the_dtype_of_its_inputs(norm, x64):
    weights = jnp.asarray(np.asarray(WEIGHTS), jnp.float64)
    network = lambda x: 4 * (x.reshape(len(x), -1) - 0.5) @ weights
    x, labels = jnp.asarray(X[:4], jnp.float32), network(X[:4]).argmax(1)
    epsilon = {"linf": 0.05, "l2": 0.1, "l1": 0.2}[norm]
    found = [
        attacks.apgd(network, x, labels, epsilon=epsilon, norm=norm, steps=3, key=KEY),
        attacks.fab(network, x, labels, (labels + 1) % CLASSES, norm=norm, steps=2),
    ]
    for result in found:
        assert result.x_adv.dtype == result.distance.dtype == jnp.float32
        wrong = network(result.x_adv).argmax(1) != labels
        np.testing.assert_array_equal(result.broken, wrong)
        assert result.broken.any()
