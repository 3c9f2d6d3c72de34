"""`square`: against closed forms and a plain random search, and which arguments it refuses."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import attacks
from ikl_jax.attacks.square.search import PROPOSALS
from tests.ikl_jax.attacks.square.problems import (
    EPSILONS,
    KEY,
    images,
    linear,
    optimum,
    slope_of,
)


@pytest.mark.parametrize("norm", PROPOSALS)
def test_breaks_what_is_breakable_and_nothing_provably_robust(norm, monkeypatch):
    monkeypatch.setitem(EPSILONS, "l1", 0.35)  # fits in one pixel
    noise = 0.1 * images(6, 4, 4, 1, least=-1.0)
    slope = slope_of(noise)
    along = jnp.sum(noise * slope[None], axis=(1, 2, 3), keepdims=True)
    x = 0.5 + noise - along * slope[None] / jnp.sum(slope**2)  # all have one margin
    margin = jnp.sum(0.5 * slope)
    for share, broken in ((0.5, True), (1.02, False)):
        logits_fn = linear(slope, margin + share * optimum(slope, norm))
        found = attacks.square(
            logits_fn, x, jnp.zeros(6, jnp.int32),
            epsilon=EPSILONS[norm], norm=norm, queries=700, key=KEY,
        )  # fmt: skip
        np.testing.assert_array_equal(found.broken, broken)
        np.testing.assert_array_equal(logits_fn(found.x_adv)[:, 1] > 0, broken)
        if not broken:
            np.testing.assert_array_equal(found.x_adv, x)
            np.testing.assert_array_equal(found.queries, 700)


def test_what_is_misclassified_from_the_start_is_left_alone():
    x = images(4, 6, 6, 1)
    labels = jnp.array([0, 1, 0, 1])
    found = attacks.square(
        linear(slope_of(x), 1e3), x, labels, epsilon=0.1, queries=3, key=KEY
    )
    np.testing.assert_array_equal(found.broken, labels == 1)
    np.testing.assert_array_equal(found.queries, jnp.where(labels == 1, 0, 3))
    np.testing.assert_array_equal(found.x_adv, x)


def plain_search(logits_fn, x, label, epsilon, queries, rng):
    """The l-infinity attack of one image, with a window and signs at a time."""
    h, w, k = x.shape
    margin = lambda x: float(np.diff(logits_fn(x))[0, 0] * (1 - 2 * label))
    best = np.clip(x + epsilon * rng.choice([-1, 1], (1, w, k)), 0, 1)
    loss = margin(best)
    for iteration in range(queries - 1):
        if loss > 0:
            return True
        p = 0.8 / (1 if iteration <= 10 else 2 if iteration <= 50 else 4)
        s = min(max(round((p * h * w) ** 0.5), 1), h, w)
        r, c = rng.integers(h - s + 1), rng.integers(w - s + 1)
        new = best.copy()
        new[r : r + s, c : c + s] += 2 * epsilon * rng.choice([-1, 1], k)
        new = np.clip(np.clip(new, x - epsilon, x + epsilon), 0, 1)
        if (new_loss := margin(new)) > loss:
            best, loss = new, new_loss
    return loss > 0


@pytest.mark.long
def test_success_rates_agree_with_a_plain_search():
    rng = np.random.default_rng(0)
    w1, w2 = rng.standard_normal((50, 16)), rng.standard_normal((16, 2))
    x = np.clip(0.5 + 0.2 * rng.standard_normal((5, 5, 2)), 0, 1).astype(np.float32)

    def logits_fn(x, module=np):
        hidden = module.tanh((x.reshape(-1, 50) - 0.5) @ w1.astype(np.float32))
        return hidden @ w2.astype(np.float32)

    label = int(np.argmax(logits_fn(x)))
    runs = 400
    rates = {}
    for queries in (1, 12, 80):
        plain = [
            plain_search(logits_fn, x, label, 0.12, queries, rng) for _ in range(runs)
        ]
        found = attacks.square(
            lambda x: logits_fn(x, jnp), jnp.broadcast_to(x, (runs, *x.shape)),
            jnp.full(runs, label), epsilon=0.12, queries=queries, key=KEY,
        )  # fmt: skip
        rates[queries] = (np.mean(plain), float(found.broken.mean()))
    for plain, ours in rates.values():
        deviation = math.sqrt(2 * 0.25 / runs)
        assert abs(plain - ours) < 4 * deviation
    assert 0.1 < rates[12][0] < 0.9


X = images(2, 4, 4, 1)

BAD_INPUT = {
    "flat": (dict(x=X.reshape(2, 16)), ValueError, r"windows over images .* \(2, 16\)"),
    "no pixels": (dict(x=X[:, :0]), ValueError, "windows over images"),
    "outside": (dict(x=X + 1), ValueError, "x must lie within bounds"),
    "bytes": (dict(x=X.astype(jnp.uint8)), TypeError, "x must be floating"),
    "label": (dict(labels=jnp.array([0, 2])), ValueError, r"lie in \[0, 2\)"),
    "labels": (
        dict(labels=jnp.array([0])),
        ValueError,
        r"labels must have shape \(2,\)",
    ),
    "float": (dict(labels=jnp.zeros(2)), TypeError, "labels must be integers"),
    "epsilon": (dict(epsilon=0.0), ValueError, "epsilon must be > 0, got 0"),
    "norm": (dict(norm="l3"), ValueError, "unknown norm 'l3'; did you mean"),
    "queries": (dict(queries=0), ValueError, "queries must be > 0, got 0"),
    "p_init": (dict(p_init=1.5), ValueError, "p_init must be at most 1, got 1.5"),
    "keys": (dict(key=jax.random.split(KEY, 3)), ValueError, "2 keys"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input(name):
    changed, error, message = BAD_INPUT[name]
    arguments = dict(x=X, labels=jnp.array([0, 1]), epsilon=0.1, queries=1, key=KEY)
    arguments |= changed
    x, labels = arguments.pop("x"), arguments.pop("labels")
    with pytest.raises(error, match=message):
        attacks.square(linear(slope_of(X)), x, labels, **arguments)
