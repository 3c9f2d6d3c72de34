"""What attacks rely on: they tell where it does not hold."""

import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import attacks
from ikl_jax.attacks.common import assumptions
from ikl_jax.attacks.ensemble import autoattack as ensemble
from tests.ikl_jax.attacks.sizes import size

COUNT, CLASSES = 12, 5
KEY = jax.random.key(0)
X = np.asarray(
    jax.random.uniform(jax.random.key(1), (COUNT, 3, 3, 1), minval=0.2, maxval=0.8)
)
WEIGHTS = jax.random.normal(jax.random.key(2), (9, CLASSES))


def plain(x):
    return 4 * (x.reshape(len(x), -1) - 0.5) @ WEIGHTS


def in_training_mode(x):
    logits = plain(x)
    mean, deviation = logits.mean(0, keepdims=True), logits.std(0, keepdims=True)
    return (logits - mean) / (deviation + 1e-3)


WRONG = np.asarray(plain(X).argmin(1))  # so no attack has to be compiled


def autoattack(logits_fn=plain, x=X, labels=WRONG, **changed):
    options = dict(epsilon=0.02, key=KEY, version=["apgd-ce"], batch_size=6) | changed
    return attacks.autoattack(logits_fn, x, labels, **options)


SINGLE = {
    "apgd": dict(epsilon=0.02, steps=0, key=KEY),
    "fab": dict(steps=0),
    "square": dict(epsilon=0.02, queries=1, key=KEY),
    "distances": dict(targets=1, steps=0),
}


def single(name, logits_fn, x=X, labels=WRONG, **changed):
    return getattr(attacks, name)(logits_fn, x, labels, **SINGLE[name] | changed)


def test_autoattack_notes_logits_that_depend_on_the_batch():
    with pytest.warns(UserWarning, match="change with the other examples in the batch"):
        result = autoattack(
            in_training_mode, labels=np.zeros(COUNT, int), version=["square"]
        )
    (note,) = (note for note in result.notes if "in the batch" in note)
    assert re.search(r"the logits of 3 of 3 examples, and the predictions of \d,", note)


def test_autoattack_looks_at_both_the_attacked_and_the_judging_network():
    for functions in (
        dict(logits_fn=plain, judged_by=in_training_mode),
        dict(logits_fn=in_training_mode, judged_by=plain),
    ):
        labels = np.asarray(functions["judged_by"](jnp.asarray(X[:6])).argmin(1))
        labels = np.concatenate([labels, labels])
        with pytest.warns(UserWarning, match="other examples in the batch"):
            autoattack(**functions, x=np.concatenate([X[:6]] * 2), labels=labels)


@pytest.mark.parametrize("name", SINGLE)
def test_single_attacks_warn_of_the_same(name):
    with pytest.warns(UserWarning, match="other examples in the batch") as told:
        single(name, in_training_mode)
    assert told[0].filename == __file__


def test_nothing_is_said_of_a_network_that_looks_at_its_own_input_only():
    """Nor of one in bfloat16, whose rounding is coarse."""
    coarse = lambda x: (
        (4 * x.reshape(len(x), -1).astype(jnp.bfloat16)) @ WEIGHTS.astype(jnp.bfloat16)
    )
    for fn in (plain, coarse):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert autoattack(fn, labels=np.asarray(fn(X).argmin(1))).notes == ()


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_a_mixed_batch_has_other_examples_beside_those_that_are_compared(size):
    rows = np.arange(size) + 10
    mixed, kept = assumptions.mixed(rows), (size + 1) // 2
    np.testing.assert_array_equal(mixed[:kept], rows[:kept])
    assert mixed.shape == rows.shape
    assert not np.isin(mixed[kept:], rows[kept:]).any()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_ball_that_holds_all_inputs_is_noted(norm):
    farthest = size(np.maximum(X, 1 - X), norm)
    epsilon = float(np.sort(farthest)[3])
    with pytest.warns(UserWarning, match="holds every input") as told:
        result = autoattack(norm=norm, epsilon=epsilon * (1 + 1e-6))
    assert (
        f"around 4 of {COUNT} examples holds every input in [0, 1]" in result.notes[0]
    )
    assert [str(warning.message) for warning in told] == list(result.notes)
    for name in ("apgd", "square"):
        with pytest.warns(
            UserWarning, match="epsilon is in the units of x, such as 8/2"
        ):
            single(name, plain, norm=norm, epsilon=8.0 * 9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert autoattack(norm=norm, epsilon=0.99 * farthest.min()).notes == ()


def test_a_network_without_derivatives_is_attacked_by_square():
    def logits_fn(x):
        shape = jax.ShapeDtypeStruct((len(x), CLASSES), jnp.float32)
        fn = lambda x: np.asarray(x).reshape(len(x), -1) @ np.asarray(WEIGHTS)
        return jax.pure_callback(fn, shape, x)

    labels = np.array(logits_fn(jnp.asarray(X)).argmax(1))
    labels[6:] = (labels[6:] + 1) % CLASSES
    result = autoattack(logits_fn, labels=labels, version=["square"], epsilon=0.3)
    assert result.notes == ()
    assert result.robust.sum() < 6


def masked(x):
    return jnp.where(jnp.arange(CLASSES)[None] == 3, -jnp.inf, plain(x))


def test_a_class_at_minus_infinity_is_refused_and_told_what_to_do():
    message = (
        "logits_fn must return finite logits, got -inf for class 3 in all examples "
        r"\(12 of 12 examples\): .* a large negative number such as -1e4, or pass classes"
    )
    for call in (autoattack, lambda fn, **kw: single("distances", fn, **kw)):
        with pytest.raises(ValueError, match=message):
            call(masked, labels=np.zeros(COUNT, int))
    nan = lambda x: plain(x).at[4, 1].set(jnp.nan)
    with pytest.raises(
        ValueError, match=r"got nan for class 1 of example 4 \(1 of 12 e"
    ):
        autoattack(nan, batch_size=None)
    for name in ("apgd", "fab", "square"):
        with pytest.warns(UserWarning, match="or pass classes"):
            single(name, masked)


def test_with_classes_other_columns_are_as_if_cut_off():
    here = [4, 0, 1, 2]
    cut = lambda x: plain(x)[:, jnp.array([0, 1, 2, 4])]
    cut_labels = np.asarray(cut(X).argmax(1), np.uint8)
    labels = np.array([0, 1, 2, 4], np.uint8)[cut_labels]
    wrong = np.array([0, 1, 2, 4])[cut(X).argmin(1)]
    result = autoattack(masked, labels=wrong, judged_by=masked, classes=here)
    assert result.classes == (0, 1, 2, 4)
    assert not result.robust.any()
    np.testing.assert_array_equal(
        single("distances", masked, labels=labels, classes=here, steps=2),
        single("distances", cut, labels=cut_labels, steps=2),
    )
    name = lambda classes: ensemble.fingerprint(
        plain,
        X,
        labels,
        epsilon=0.1,
        norm="l2",
        version="apgd",
        key=KEY,
        classes=classes,
    )
    assert len({name(None), name([0, 1]), name([0, 2])}) == 3
