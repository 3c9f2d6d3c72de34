"""The judge of claimed adversarial examples, and the warnings about a classifier."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.ensemble import preflight
from ikl_jax.attacks.ensemble.judge import Judge
from tests.ikl_jax.attacks.ensemble.problems import (
    CLASSES,
    COUNT,
    KEY,
    SHAPE,
    data,
    evaluate,
)


def test_claims_are_checked():
    logits_fn, x, labels = data()
    x, labels = jnp.asarray(x), jnp.asarray(labels)
    judge = Judge(Classifier.of(logits_fn, x), 0.08, "linf")
    keys = jax.random.split(KEY, COUNT)
    wrong = np.asarray(logits_fn(x).argmax(1)) != labels
    np.testing.assert_array_equal(judge(x, x, labels, keys), wrong)
    assert not judge(x, x + 0.1, jnp.zeros_like(labels) - 1, keys).any()  # too far
    far = jnp.where(x > 0.5, x + 0.07, x - 0.07)
    outside = np.asarray(((far < 0) | (far > 1)).any((1, 2, 3)))
    assert outside.any()
    assert not outside.all()
    claimed = judge(x, far, jnp.zeros_like(labels) - 1, keys)  # all are wrong
    np.testing.assert_array_equal(claimed, ~outside)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_sizes_are_the_norms(norm):
    rng = np.random.default_rng(0)
    x = rng.random((6, *SHAPE))
    delta = rng.standard_normal(x.shape) * 0.01
    order = {"linf": np.inf, "l2": 2, "l1": 1}[norm]
    sizes = [np.linalg.norm(row.ravel(), order) for row in delta]
    middle = float(np.median(sizes))
    judge = Judge(Classifier.of(data()[0], jnp.asarray(x)), middle, norm)
    x, x_adv = 0.5 * x + 0.25, 0.5 * x + 0.25 + delta
    np.testing.assert_array_equal(judge.is_allowed(x, x_adv), np.array(sizes) < middle)


def test_a_claim_that_the_judge_rejects_does_not_count():
    """A float32 form that is right about everything, and what is attacked is not."""
    logits_fn, x, labels = data()
    sure = 9 * jnp.asarray(np.eye(CLASSES, dtype=np.float32))

    def knows(given):
        at = jnp.argmin(jnp.abs(given[:, None] - x[None]).sum((2, 3, 4)), axis=1)
        return sure[jnp.asarray(labels)[at]]

    result = evaluate(logits_fn, x, labels, judged_by=knows, version=["apgd-ce"])
    assert result.robust.all()


@pytest.mark.slow
def test_what_looks_wrong_is_told():
    logits_fn, x, labels = data(count=6)
    random = np.random.default_rng(0)

    def impure(x):
        return logits_fn(x) + random.standard_normal()

    for fn, message in (
        (lambda x: jax.nn.softmax(logits_fn(x)), "seems to return probabilities"),
        (
            lambda x: jnp.round(logits_fn(x)),
            "gradient of the cross-entropy is zero for",
        ),
        (impure, "returns other logits when it is called again"),
    ):
        with pytest.warns(UserWarning, match=message) as caught:
            result = evaluate(fn, x, labels, version=["apgd-ce"])
        assert [str(w.message) for w in caught] == list(result.notes)


def test_square_that_finds_what_gradients_did_not_is_told():
    stages = [("fab-t", 0.5, 0.0), ("square", 0.49, 0.0)]
    assert "from 50.00 to 49.00 %" in next(preflight.is_masked(stages))
    assert not list(preflight.is_masked([("fab-t", 0.5, 0.0), ("square", 0.499, 0.0)]))
