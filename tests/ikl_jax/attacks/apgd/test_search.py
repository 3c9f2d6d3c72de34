"""One restart of APGD: its optimum, its chunks, its programs, randomised networks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax.attacks.apgd import Apgd, search
from ikl_jax.attacks.common import loops
from ikl_jax.attacks.common.attack import Batch
from ikl_jax.attacks.common.classifier import Classifier
from tests.conftest import cases
from tests.ikl_jax.attacks.apgd.problems import (
    CROSS_ENTROPY,
    DLR,
    NORMS,
    RADII,
    cnn_case,
    difference,
    keys_of,
    linear_case,
    linear_optimum,
    with_a_sure_class,
)
from tests.ikl_jax.attacks.sizes import size


@pytest.mark.parametrize(
    ("norm", "epsilon", "low", "high"),
    [
        ("linf", 0.1, 0.3, 0.7),
        ("linf", 0.25, 0.0, 1.0),  # the box cuts
        ("l2", 0.5, 0.3, 0.7),
        ("l1", 0.25, 0.3, 0.7),
        ("l1", 4.0, 0.0, 1.0),
    ],
)
def test_finds_the_optimum_of_a_linear_network(norm, epsilon, low, high):
    weights, x, labels, targets, slopes = linear_case(low=low, high=high)
    classifier = Classifier.of(with_a_sure_class(weights), x)
    attack = Apgd(classifier, epsilon, norm, difference, steps=100)
    best = attack.search(x, labels, targets, keys_of(len(x))).best
    growth = (slopes * (np.asarray(best.x, np.float64) - x)).sum(1)
    # In the l1 ball the method itself stops short: its steps are never of one entry.
    tolerance = {"linf": 1e-5, "l2": 1e-4, "l1": 0.25}[norm]
    optimum = linear_optimum(slopes, x, epsilon, norm)
    np.testing.assert_allclose(growth, optimum, rtol=tolerance)
    assert (size(best.x - x, norm) <= epsilon * (1 + 1e-5)).all()


@pytest.mark.long
@pytest.mark.parametrize("norm", cases(NORMS, quick=["linf"]))
def test_a_batch_its_order_and_the_chunk_do_not_matter(norm, monkeypatch):
    logits_fn, x, labels = cnn_case(batch=5)
    classifier = Classifier.of(logits_fn, x)
    search = lambda rows: Apgd(classifier, RADII[norm], norm, CROSS_ENTROPY, 14)(
        x[rows], labels[rows], labels[rows], keys_of(5)[rows]
    )
    rows = jnp.arange(5)
    whole = search(rows)
    assert 0 < whole.broken.sum() < 5
    monkeypatch.setattr(loops, "gradient_steps", lambda *_: 3)
    for rows in (jnp.arange(5), jnp.array([4, 0, 3])):
        part = search(rows)
        np.testing.assert_array_equal(part.broken, whole.broken[rows])
        np.testing.assert_allclose(part.x_adv, whole.x_adv[rows], atol=1e-5)


@pytest.mark.long
def test_a_chunk_that_does_not_divide_the_steps_changes_nothing(monkeypatch):
    logits_fn, x, labels = cnn_case(batch=3)
    attack = lambda: Apgd(Classifier.of(logits_fn, x), 0.02, "linf", CROSS_ENTROPY, 7)
    monkeypatch.setattr(loops, "gradient_steps", lambda *_: 7)
    whole = attack().search(x, labels, labels, keys_of(3))
    monkeypatch.setattr(loops, "gradient_steps", lambda *_: 5)
    padded = attack()
    object.__setattr__(padded, "_chunk", 5)
    state = padded.search(x, labels, labels, keys_of(3))
    assert not whole.found.broken.all()
    np.testing.assert_allclose(state.best.x, whole.best.x, atol=1e-6)
    np.testing.assert_allclose(state.found.x_adv, whole.found.x_adv, atol=1e-6)


@pytest.mark.parametrize(
    ("steps", "most", "size"),
    [([100], 5, 5), ([100], 20, 20), ([97], 20, 14), ([30, 30, 40], 20, 10),
     ([3], 20, 3), ([7], 1, 1), ([0], 5, 1)],
)  # fmt: skip
def test_chunks_leave_few_steps_over(steps, most, size):
    assert search._chunk_size(steps, most) == size


def test_ends_early_and_keeps_what_was_first_misclassified():
    logits_fn, x, labels = cnn_case(batch=3)
    attack = Apgd(Classifier.of(logits_fn, x), 0.5, "linf", CROSS_ENTROPY, 100)
    calls, advance = [], attack._advance
    attack.__dict__["_advance"] = lambda *args: calls.append(0) or advance(*args)
    found = attack(x, labels, labels, keys_of(3))
    assert found.broken.all()
    assert len(calls) == 1
    at_the_start = dataclasses.replace(attack, steps=0).search(
        x, labels, labels, keys_of(3)
    )
    first = at_the_start.found
    assert first.broken.any()
    np.testing.assert_allclose(
        found.x_adv.reshape(3, -1)[first.broken],
        at_the_start.now.x[first.broken],
        atol=1e-6,
    )


def test_compiled_for_cpu_no_loop_is_left_and_constants_are_arguments(monkeypatch):
    monkeypatch.setattr(loops, "gradient_steps", lambda *_: 5)
    logits_fn, x, labels = cnn_case(batch=2)
    heavy = jax.random.normal(jax.random.key(0), (96, 20_000))
    both = lambda x: logits_fn(x) + (x.reshape(2, -1) @ heavy)[:, :4]
    classifier = Classifier.of(both, x)
    attack = Apgd(classifier, 0.01, "linf", DLR, steps=5)
    batch = Batch(x, labels, labels, keys_of(2))
    state = attack.search(*batch)
    flat = batch._replace(x=x.reshape(2, -1))
    lowered = attack._advance.lower(
        classifier.constants(x, batch.keys), flat, state, 0.01, 0,
        np.zeros(5, np.int32), np.ones(5, bool), True,
    )  # fmt: skip
    assert len(lowered.as_text()) < 300_000
    compiled = lowered.compile().as_text()
    assert compiled.count("convolution(") > 5
    # XLA may make a loop of a scatter, which holds no gradient of a convolution.
    loops_left = [line for line in compiled.splitlines() if " while(" in line]
    assert all("scatter" in line for line in loops_left)


@pytest.mark.slow
def test_noise_is_averaged_and_an_examples_own():
    weights = jnp.array([[1.0, -1.0, 0.0], [0.5, 0.0, 2.0]])
    noise = lambda key: jax.random.uniform(key, weights.shape, minval=-2, maxval=2)
    noisy = lambda x, key: x @ (weights + noise(key))
    x = jnp.full((6, 2), 0.5)
    labels, targets = jnp.zeros(6, int), jnp.ones(6, int)
    classifier = Classifier.randomised(noisy, x)
    search = lambda samples, rows: Apgd(
        classifier, 0.1, "linf", difference, steps=0, eot_samples=samples
    ).search(x[rows], labels[rows], targets[rows], keys_of(6)[rows])
    slope = weights[:, 1] - weights[:, 0]
    spread = {}
    for samples in (1, 60):
        now = search(samples, slice(None)).now
        deviation = now.gradient - slope[None]
        spread[samples] = float(jnp.sqrt(jnp.mean(deviation**2)))
        np.testing.assert_allclose(
            now.loss, jnp.sum(now.gradient * now.x, -1), rtol=1e-4, atol=1e-5
        )
        alone = search(samples, slice(3, 5)).now
        np.testing.assert_allclose(alone.gradient, now.gradient[3:5], atol=1e-5)
    assert spread[1] > 0.7
    assert spread[60] < 0.4


def test_both_of_two_samples_must_be_misclassified():
    """Each sample is wrong half of the time, so both are a quarter of the time."""

    def moody(x, key):
        wrong = jax.random.uniform(key) < 0.5
        return jnp.where(wrong, 1.0, -1.0) * jnp.array([[0.0, 1.0]]) + 0 * x

    x, zeros = jnp.full((256, 2), 0.5), jnp.zeros(256, int)
    attack = Apgd(
        Classifier.randomised(moody, x), 0.1, "linf", CROSS_ENTROPY, steps=0,
        eot_samples=2,
    )  # fmt: skip
    broken = attack(x, zeros, zeros, keys_of(256)).broken
    # Half of them, if one is enough or if both samples have the same noise.
    assert 0.15 < broken.mean() < 0.35


@pytest.mark.slow
def test_most_samples_must_be_misclassified():
    """With a network that is wrong three times out of ten, whatever the input."""

    def moody(x, key):
        wrong = jax.random.uniform(key) < 0.3
        return jnp.where(wrong, 1.0, -1.0) * jnp.array([[0.0, 1.0]]) + 0 * x

    x, zeros = jnp.full((6, 2), 0.5), jnp.zeros(6, int)
    classifier = Classifier.randomised(moody, x)
    broken = lambda samples, steps: (
        Apgd(classifier, 0.1, "linf", CROSS_ENTROPY, steps=steps, eot_samples=samples)(
            x, zeros, zeros, keys_of(6)
        ).broken
    )
    assert broken(1, 20).sum() > 4
    assert not broken(45, 4).any()


def test_bad_fields():
    for changed, message in (
        (dict(rho=1.5), "rho must lie in"),
        (dict(eot_samples=0), "eot_samples must be > 0"),
    ):
        with pytest.raises(ValueError, match=message):
            Apgd(None, 0.1, "linf", DLR, **changed)
