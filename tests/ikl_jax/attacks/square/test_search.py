"""The Square Attack's search: balls, batches, ends and compiled programs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.common.keys import example_keys
from ikl_jax.attacks.square import search as square_search
from ikl_jax.attacks.square.search import CHUNK, PROPOSALS, Square
from tests.conftest import cases
from tests.ikl_jax.attacks.sizes import size
from tests.ikl_jax.attacks.square.problems import (
    EPSILONS,
    KEY,
    images,
    linear,
    optimum,
    search,
    searches,
    slope_of,
)

QUERIES = (1, 2, 11, 500)

SHAPES = [(6, 9, 3), (11, 5, 1), (2, 1, 2)]


@pytest.mark.parametrize("norm", PROPOSALS)
@pytest.mark.parametrize("shape", cases(SHAPES, quick=[(11, 5, 1)]))
def test_stays_in_the_ball_and_the_box_and_the_loss_never_falls(norm, shape):
    x = images(4, *shape)
    logits_fn = linear(slope_of(x), 1e3)
    best = -jnp.inf
    for queries, found in zip(
        QUERIES, searches(logits_fn, x, norm, QUERIES), strict=True
    ):
        sizes = size(found.x_adv - x, norm)
        assert (sizes <= EPSILONS[norm] * (1 + 1e-5) + 1e-6).all()
        assert (sizes > 0).all()
        assert found.x_adv.min() >= 0.0
        assert found.x_adv.max() <= 1.0
        np.testing.assert_array_equal(found.queries, queries)
        np.testing.assert_allclose(found.loss, logits_fn(found.x_adv)[:, 1], rtol=1e-5)
        assert (found.loss >= best).all()
        best = found.loss
    assert not found.broken.any()


@pytest.mark.parametrize("norm", PROPOSALS)
def test_perturbations_reach_epsilon_where_the_box_does_not_cut(norm):
    x = jnp.full((4, 12, 10, 3), 0.5)
    for found in searches(linear(slope_of(x), 1e3), x, norm, QUERIES):
        sizes = size(found.x_adv - x, norm)
        np.testing.assert_allclose(sizes, EPSILONS[norm], rtol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("norm", cases(PROPOSALS, quick=["linf"]))
def test_an_example_is_attacked_alike_in_any_company(norm):
    x = images(5, 7, 6, 3)
    keys = example_keys(KEY, 5)
    logits_fn = linear(
        slope_of(x), jnp.linspace(0.2, 1.0, 5)[0] * optimum(slope_of(x), norm)
    )
    whole = search(logits_fn, x, norm, 150)
    order = jnp.array([3, 0, 4, 1, 2])
    turned = search(logits_fn, x[order], norm, 150, keys[order])
    alone = search(logits_fn, x[2:3], norm, 150, keys[2:3])
    for a, b, c in zip(whole, turned, alone, strict=True):
        np.testing.assert_array_equal(a[order], b)
        np.testing.assert_array_equal(a[2:3], c)


def test_examples_of_a_batch_draw_their_own_windows():
    x = jnp.broadcast_to(images(1, 8, 8, 1), (6, 8, 8, 1))
    x_adv = np.asarray(search(linear(slope_of(x), 1e3), x, "linf", 2).x_adv)
    assert len(np.unique(x_adv.reshape(6, -1), axis=0)) == 6


@pytest.mark.parametrize("norm", cases(PROPOSALS, quick=["linf"]))
def test_the_results_do_not_depend_on_the_chunk(norm, monkeypatch):
    x = images(3, 6, 5, 2)
    run = lambda: search(linear(slope_of(x), 1e3), x, norm, 40)
    whole = run()
    monkeypatch.setattr(square_search, "CHUNK", 7)
    for a, b in zip(whole, run(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.long
def test_ends_as_soon_as_all_are_broken_and_freezes_the_first_misclassified():
    x = images(3, 6, 6, 1, least=0.4, most=0.6)
    slope = slope_of(x)
    values = jnp.sum(x * slope[None], axis=(1, 2, 3))
    seen = []

    def logits_fn(x):
        jax.debug.callback(lambda _: seen.append(1), x[0, 0, 0, 0])
        return linear(slope, values.max() + 0.35 * optimum(slope, "linf"))(x)

    (found,) = searches(logits_fn, x, "linf", [5000])
    jax.effects_barrier()
    assert found.broken.all()
    assert found.queries.min() < found.queries.max() < 1000
    assert len(seen) == found.queries.max() + 1  # and x itself
    one = jnp.argmin(found.queries)
    first = int(found.queries[one])
    just, before = searches(logits_fn, x, "linf", [first, first - 1])
    np.testing.assert_array_equal(just.x_adv[one], found.x_adv[one])
    assert just.broken[one]
    assert not before.broken[one]


def test_the_networks_arrays_are_arguments_of_the_program():
    x = images(2, 6, 6, 1)
    weights = jax.random.normal(KEY, (36, 1000))
    attack = Square(Classifier.of(lambda x: x.reshape(len(x), -1) @ weights, x), 0.1)
    keys = example_keys(KEY, 2)
    labels = jnp.zeros(2, jnp.int32)
    constants = attack.classifier.constants(x, keys)
    state = attack.search(x, labels, keys)
    sides, numbers = jnp.ones(CHUNK, jnp.int32), jnp.zeros((CHUNK, 2, 3))
    lowered = attack._advance.lower(
        constants, state, x, labels, numbers, keys, 0, sides, CHUNK
    )
    assert "36x1000" in lowered.as_text()
    assert len(lowered.as_text()) < 200_000


def test_one_program_serves_all_queries_of_a_batch_shape():
    x = images(2, 6, 6, 1)
    attack = Square(Classifier.of(linear(slope_of(x), 1e3), x), 0.1, queries=250)
    for _ in range(2):
        attack.search(x, jnp.zeros(2, jnp.int32), example_keys(KEY, 2))
    assert attack._advance._cache_size() == 1
    assert attack._start._cache_size() == 1


@pytest.mark.long
def test_is_an_attack_of_the_ensemble_also_of_a_randomised_network():
    x = images(3, 6, 6, 1)
    noisy = lambda x, key: linear(slope_of(x), 1e3)(x + jax.random.normal(key, x.shape))
    keys = example_keys(KEY, 3)
    labels = jnp.array([0, 1, 0])
    attack = Square(Classifier.randomised(noisy, x), 0.1, queries=5)
    found = attack(x, labels, 1 - labels, keys)
    np.testing.assert_array_equal(found.broken, labels == 1)
    np.testing.assert_array_equal(found.x_adv, x)
    losses = [attack.search(x[i:], labels[i:], keys[i:]).loss[-1] for i in (0, 2)]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_each_query_of_a_randomised_network_has_noise_of_its_own():
    x, keys = images(6, 4, 4, 1), example_keys(KEY, 6)
    draw = lambda key: jax.random.uniform(key)

    def noisy(x, key):
        wrong = jnp.full(len(x), draw(key) < 0.2)
        return jnp.stack([~wrong, wrong], axis=-1).astype(jnp.float32)

    attack = Square(Classifier.randomised(noisy, x), 0.1, queries=40)
    found = attack.search(x, jnp.zeros(6, int), keys)
    for key, queries, broken in zip(keys, found.queries, found.broken, strict=True):
        _, noise = jax.random.split(key)
        drawn = [draw(noise), *(draw(jax.random.fold_in(noise, i)) for i in range(40))]
        assert broken
        assert queries == next(i for i, value in enumerate(drawn) if value < 0.2)
