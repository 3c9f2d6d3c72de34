"""What all attacks have in common: results, and where they may be called."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import attacks
from tests.ikl_jax.attacks.sizes import size

KEY = jax.random.key(0)
X = jax.random.uniform(jax.random.key(1), (6, 4, 4, 1))
WEIGHTS = jax.random.normal(jax.random.key(2), (16, 3))
SETTINGS = {
    "apgd": dict(epsilon=0.1, steps=5, key=KEY),
    "fab": dict(steps=5),
    "square": dict(epsilon=0.1, queries=20, key=KEY),
    "distances": dict(steps=2, targets=1),
    "autoattack": dict(epsilon=0.1, version=["apgd-ce"], key=KEY),
}
FROM_PYTHON = ["apgd", "square", "distances", "autoattack"]


def logits_of(weights):
    return lambda x: (x.reshape(len(x), -1) - 0.5) @ weights


LABELS = jnp.argmax(logits_of(WEIGHTS)(X), -1)


def run(name, x=X, weights=WEIGHTS, **changed):
    attack = getattr(attacks, name)
    return attack(logits_of(weights), x, LABELS, **SETTINGS[name] | changed)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", ["apgd", "fab", "square"])
def test_results_are_of_one_kind(name, norm):
    labels = LABELS.at[0].set((LABELS[0] + 1) % 3)  # misclassified from the start
    found = getattr(attacks, name)(
        logits_of(WEIGHTS), X, labels, norm=norm, **SETTINGS[name]
    )
    wrong = jnp.argmax(logits_of(WEIGHTS)(found.x_adv), -1) != labels
    np.testing.assert_array_equal(found.broken, wrong)
    distance = np.where(found.broken, size(found.x_adv - X, norm), np.inf)
    np.testing.assert_allclose(found.distance, distance, rtol=1e-5)
    assert found.broken[0]
    assert found.distance[0] == 0
    assert (found.queries is None) == (name != "square")
    assert 1 < found.broken.sum()


WHERE = {
    "jit": lambda name: jax.jit(lambda x: run(name, x))(X),
    "jit, its arguments known": lambda name: jax.jit(lambda _: run(name))(X),
    "jit, its weights traced": lambda name: jax.jit(
        lambda weights: run(name, weights=weights)
    )(WEIGHTS),
    "grad": lambda name: jax.grad(lambda x: run(name, x).x_adv.sum())(X),
    "vmap": lambda name: jax.vmap(lambda x: run(name, x))(X[None]),
    "vmap, its weights traced": lambda name: jax.vmap(
        lambda weights: run(name, weights=weights)
    )(WEIGHTS[None]),
}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", FROM_PYTHON)
def test_what_is_driven_from_python_says_so_in_the_same_words(name, where):
    words = "runs several compiled programs and decides between them in Python: "
    with pytest.raises(TypeError, match=f"^{name} {words}call it outside of jit"):
        WHERE[where](name)


def test_fab_may_be_traced_and_its_program_does_not_grow_with_the_steps():
    lowered = [
        jax.jit(functools.partial(run, "fab", steps=steps)).lower(X)
        for steps in (20, 100)
    ]
    sizes = [len(each.as_text()) for each in lowered]
    calls = [str(each.as_text()).count("call @advance") for each in lowered]
    assert calls[0] == calls[1] > 0
    assert abs(sizes[1] - sizes[0]) < 0.01 * sizes[0]


@pytest.mark.long
def test_fab_finds_the_same_under_jit_and_vmap():
    expected = run("fab", steps=7)
    inside = jax.jit(functools.partial(run, "fab", steps=7))(X)
    mapped = jax.vmap(functools.partial(run, "fab", steps=7))(X[None])
    assert 0 < expected.broken.sum()
    for found in (inside, jax.tree.map(lambda array: array[0], mapped)):
        np.testing.assert_array_equal(found.broken, expected.broken)
        np.testing.assert_allclose(found.distance, expected.distance, rtol=1e-4)


def test_pgd_may_be_traced():
    loss = lambda x: logits_of(WEIGHTS)(x)[:, 0]
    attack = functools.partial(
        attacks.pgd, loss, epsilon=0.1, step_size=0.05, steps=3, key=KEY
    )
    np.testing.assert_allclose(jax.jit(attack)(X), attack(X), atol=1e-6)
