"""The classifier under attack: which arrays its programs compute with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import attacks
from ikl_jax.attacks.common.classifier import Classifier


def keys_of(count, impl=None):
    return jax.random.split(jax.random.key(0, impl=impl), count)


def called(classifier, x, keys=None):
    """As attacks call it, within a program that takes the constants."""
    keys = keys_of(len(x)) if keys is None else keys
    return jax.jit(classifier.logits)(classifier.constants(x, keys), x, keys)


def by_batch_size(x):
    return x + np.full((1, 3), len(x), np.float32)


def by_dtype(x):
    return x + np.full((1, 3), jnp.finfo(x.dtype).bits, np.float32).astype(x.dtype)


def more_for_large_batches(x):
    large = len(x) > 3
    return x + np.ones((1, 3), np.float32) + (np.eye(len(x), 3) if large else 0)


@pytest.mark.parametrize("logits_fn", [by_batch_size, more_for_large_batches])
def test_each_batch_size_has_constants_of_its_own(logits_fn):
    x = jax.random.uniform(jax.random.key(1), (5, 3))
    classifier = Classifier.of(logits_fn, x)
    for rows in (5, 2, 4, 5):
        np.testing.assert_allclose(called(classifier, x[:rows]), logits_fn(x[:rows]))


def test_each_dtype_has_constants_of_its_own():
    x = jnp.full((2, 3), 0.5)
    classifier = Classifier.of(by_dtype, x)
    for dtype, bits in ((jnp.float32, 32), (jnp.bfloat16, 16), (jnp.float16, 16)):
        np.testing.assert_array_equal(called(classifier, x.astype(dtype)), bits + 0.5)


def test_inputs_other_than_the_constants_are_for_are_right_too():
    x = jnp.zeros((5, 3))
    classifier = Classifier.of(by_batch_size, x)
    constants = classifier.constants(x, keys_of(5))
    two = jax.jit(classifier.logits)(constants, x[:2], keys_of(2))
    np.testing.assert_array_equal(two, 2.0)


@pytest.mark.long
def test_a_small_last_batch_has_the_right_predictions():
    """Batches of 4 and of 1: the class with the largest logit is another one."""
    wanted = lambda x: 9 * np.eye(5, dtype=np.float32)[[len(x)]]
    labels = np.array([4] * 4 + [1])
    x = np.random.default_rng(0).random((5, 5)).astype(np.float32)
    found = attacks.distances(
        lambda x: x + wanted(x), x, labels, targets=1, steps=1, batch_size=4
    )
    assert (found > 0).all()


@pytest.mark.parametrize("module", [np, jnp])
def test_weights_are_arguments_of_a_program_that_is_compiled_once(module):
    weights = module.asarray(np.random.default_rng(0).random((40, 2000), np.float32))
    traced = []

    def logits_fn(x):
        traced.append(len(x))
        return (x @ jnp.asarray(weights))[:, :3]

    x = jnp.ones((4, 40))
    classifier = Classifier.of(logits_fn, x)
    program = jax.jit(classifier.logits)
    for rows in (4, 4, 2, 2, 4):
        constants = classifier.constants(x[:rows], keys_of(rows))
        program(constants, x[:rows], keys_of(rows))
    assert traced == [4, 2]
    assert program._cache_size() == 2
    text = program.lower(constants, x, keys_of(4)).as_text()
    assert "40x2000" in text
    assert len(text) < 20_000


def test_keys_of_another_generator():
    x = jnp.zeros((4, 3))
    noisy = lambda x, key: x + jax.random.uniform(key, x.shape)
    classifier = Classifier.randomised(noisy, x)
    for impl in ("threefry2x32", "rbg"):
        keys = keys_of(4, impl)
        expected = jax.vmap(lambda key: jax.random.uniform(key, (1, 3))[0])(keys)
        np.testing.assert_allclose(called(classifier, x, keys), expected, rtol=1e-6)
