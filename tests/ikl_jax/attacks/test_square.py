"""The Square Attack against its definition, closed forms and a plain random search."""

import math
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import attacks
from ikl_jax.attacks.common import geometry, l1_box
from ikl_jax.attacks.common.network import Network
from ikl_jax.attacks.square import CHUNK, NORMS, Square, pyramids, windows
from tests.conftest import cases
from tests.ikl_jax.attacks.test_pgd import size

QUERIES = (1, 2, 11, 500)
EPSILONS = {"linf": 0.05, "l2": 0.4, "l1": 1.5}
KEY = jax.random.key(5)
MODULE = sys.modules["ikl_jax.attacks.square"]  # whose name is the function's


def images(batch, *shape, least=0.0, most=1.0):
    return jax.random.uniform(
        jax.random.key(0), (batch, *shape), minval=least, maxval=most
    )


def linear(slope, offset=0.0):
    """Two classes; the margin of label 0 is slope . x - offset."""

    def logits_fn(x):
        # Not a matrix product, whose rounding depends on the number of rows.
        value = jnp.sum(x * slope[None], axis=(1, 2, 3)) - offset
        return jnp.stack([jnp.zeros_like(value), value], axis=1)

    return logits_fn


def slope_of(x):
    return jax.random.normal(jax.random.key(1), x.shape[1:])


def searches(logits_fn, x, norm, numbers_of_queries, keys=None):
    """One search for each; all run the same two compiled programs."""
    attack = Square(Network.of(logits_fn, x), EPSILONS[norm], norm)
    keys = geometry.example_keys(KEY, len(x)) if keys is None else keys
    for queries in numbers_of_queries:
        object.__setattr__(attack, "queries", queries)
        yield attack.search(x, jnp.zeros(len(x), jnp.int32), keys)


def search(logits_fn, x, norm, queries, keys=None):
    return next(searches(logits_fn, x, norm, [queries], keys))


def optimum(slope, norm):
    """The most that a linear function gains in the ball, where the box does not cut."""
    return EPSILONS[norm] * {
        "linf": jnp.abs(slope).sum(),
        "l2": jnp.linalg.norm(slope),
        "l1": jnp.abs(slope).max(),
    }[norm]  # fmt: skip


SHAPES = [(6, 9, 3), (11, 5, 1), (2, 1, 2)]


@pytest.mark.parametrize("norm", NORMS)
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


@pytest.mark.parametrize("norm", NORMS)
def test_perturbations_reach_epsilon_where_the_box_does_not_cut(norm):
    x = jnp.full((4, 12, 10, 3), 0.5)
    for found in searches(linear(slope_of(x), 1e3), x, norm, QUERIES):
        sizes = size(found.x_adv - x, norm)
        np.testing.assert_allclose(sizes, EPSILONS[norm], rtol=1e-4)


@pytest.mark.parametrize("norm", cases(NORMS, quick=["linf"]))
def test_an_example_is_attacked_alike_in_any_company(norm):
    x = images(5, 7, 6, 3)
    keys = geometry.example_keys(KEY, 5)
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


@pytest.mark.parametrize("norm", cases(NORMS, quick=["linf"]))
def test_the_results_do_not_depend_on_the_chunk(norm, monkeypatch):
    x = images(3, 6, 5, 2)
    run = lambda: search(linear(slope_of(x), 1e3), x, norm, 40)
    whole = run()
    monkeypatch.setattr(MODULE, "CHUNK", 7)
    for a, b in zip(whole, run(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


AREAS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
STARTS = [0, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001, 10**6]


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 48, 3), (5, 40, 1)])
def test_window_sides_follow_the_schedule(shape):
    for divisor, first, after in zip(AREAS, STARTS, STARTS[1:], strict=False):
        area = 0.8 / divisor * shape[0] * shape[1]
        side = max(round(math.sqrt(area)), 1)
        for iteration in (first, after - 1):
            of = lambda norm: windows.side_at(iteration, 0.8, shape, NORMS[norm])
            assert of("linf") == min(side, *shape[:2])
            odd = max(side, 3) + (max(side, 3) % 2 == 0)
            assert of("l2") == of("l1") == min(odd, *shape[:2])


@pytest.mark.parametrize(
    ("places", "reached"),
    [(windows.every_place, 1.0), (windows.all_but_the_last_place, 0.0)],
)
def test_windows_are_uniform_and_reach_the_last_row_and_column(places, reached):
    x = jnp.full((3000, 5, 7, 1), 0.5)
    numbers = jax.random.uniform(KEY, (3000, 3))
    moved = (
        NORMS["linf"].propose(numbers, x, x, jnp.array(2), 0.1, places)[..., 0] != 0.5
    )
    assert (moved.sum((1, 2)) == 4).all()
    for axis, length in ((2, 5), (1, 7)):
        first = jnp.argmax(moved.any(axis), axis=1)
        count = length - 1 if reached else length - 2
        share = np.bincount(first, minlength=length - 1) / 3000
        np.testing.assert_allclose(share[:count], 1 / count, atol=0.03)
        assert share[count:].sum() == 0
        assert moved.any(axis)[:, -1].any() == bool(reached)


def direct_pyramid(side, power):
    """Squares of 1, 3, 5, ... cells laid over each other, in two halves."""
    halves = []
    for height in (side // 2, side - side // 2):
        half = np.zeros((height, side))
        for ring in range(side // 2 + 1):
            top, left = height // 2 - ring, side // 2 - ring
            rows = slice(max(top, 0), top + 2 * ring + 1)
            half[rows, max(left, 0) : left + 2 * ring + 1] += 1 / (ring + 1) ** 2
        halves.append(half / max((half**power).sum() ** (1 / power), 1e-300))
    whole = np.concatenate([halves[0], -halves[1]])
    return whole / (np.abs(whole) ** power).sum() ** (1 / power)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("side", [1, 2, 3, 5, 6, 11])
def test_pyramids_against_their_definition(side, power):
    rows, columns, weight = pyramids.pyramid(side, power)
    whole = weight[:, None] * np.minimum(rows[:, None], columns)
    np.testing.assert_allclose(whole, direct_pyramid(side, power), atol=1e-12)


def test_l2_moves_the_mass_of_one_window_to_another():
    """Algorithm 3, one example, in NumPy."""
    x = jnp.full((1, 9, 8, 2), 0.5)
    numbers = jnp.array([[0.2, 0.7, 0.9, 0.4, 0.3, 0.1, 0.8]])
    delta = 0.1 * np.asarray(jax.random.normal(KEY, (9, 8, 2)), np.float64)
    delta *= 0.9 / np.linalg.norm(delta)
    unused, side = 1.0 - 0.81, 3
    first = (slice(1, 4), slice(4, 7))  # floor(.2 * 7), floor(.7 * 6)
    second = (slice(6, 9), slice(2, 5))
    expected = delta.copy()
    for k, sign in ((0, -1), (1, 1)):
        both = np.zeros((9, 8), bool)
        both[first] = both[second] = True
        available = (delta[..., k][both] ** 2).sum() + unused / 2
        new = sign * direct_pyramid(side, 2).T
        new = new + delta[..., k][first] / np.linalg.norm(delta[..., k][first])
        expected[..., k][second] = 0.0
        expected[..., k][first] = new / np.linalg.norm(new) * available**0.5
    x_adv = x + jnp.asarray(delta, jnp.float32)[None]
    new = NORMS["l2"].propose(
        numbers, x, x_adv, jnp.array(side), 1.0, windows.every_place
    )
    np.testing.assert_allclose(new[0] - 0.5, np.clip(expected, -0.5, 0.5), atol=1e-6)


def test_the_l1_projection_into_the_box_is_the_nearest_of_many_points():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.random((1, 6)), jnp.float32)
    delta = jnp.asarray(rng.standard_normal((1, 6)), jnp.float32)
    nearest = np.asarray(l1_box.project(delta, x, 1.0))[0]
    np.testing.assert_allclose(np.abs(nearest).sum(), 1.0, rtol=1e-5)
    points = np.clip(np.asarray(x) + rng.laplace(scale=0.3, size=(50_000, 6)), 0, 1)
    points = points - np.asarray(x)
    points = points[np.abs(points).sum(1) <= 1.0]
    near = nearest + 0.1 * (points - nearest)  # convex: still in both
    for others in (points, near):
        distances = np.linalg.norm(others - np.asarray(delta), axis=1)
        assert distances.min() > np.linalg.norm(nearest - np.asarray(delta)) - 1e-6
    inside = jnp.clip(delta, -x, 1 - x) * 0.1
    np.testing.assert_array_equal(l1_box.project(inside, x, 1.0), inside)


@pytest.mark.parametrize("norm", NORMS)
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


def test_the_networks_arrays_are_arguments_of_the_program():
    x = images(2, 6, 6, 1)
    weights = jax.random.normal(KEY, (36, 1000))
    attack = Square(Network.of(lambda x: x.reshape(len(x), -1) @ weights, x), 0.1)
    keys = geometry.example_keys(KEY, 2)
    labels = jnp.zeros(2, jnp.int32)
    constants = attack.network.constants
    state = attack.search(x, labels, keys)
    sides, numbers = jnp.ones(CHUNK, jnp.int32), jnp.zeros((CHUNK, 2, 3))
    lowered = attack._advance.lower(
        constants, state, x, labels, numbers, keys, 0, sides, CHUNK
    )
    assert "36x1000" in lowered.as_text()
    assert len(lowered.as_text()) < 200_000


def test_one_program_serves_all_queries_of_a_batch_shape():
    x = images(2, 6, 6, 1)
    attack = Square(Network.of(linear(slope_of(x), 1e3), x), 0.1, queries=250)
    for _ in range(2):
        attack.search(x, jnp.zeros(2, jnp.int32), geometry.example_keys(KEY, 2))
    assert attack._advance._cache_size() == 1
    assert attack._start._cache_size() == 1


def test_is_an_attack_of_the_ensemble_also_of_a_randomised_network():
    x = images(3, 6, 6, 1)
    noisy = lambda x, key: linear(slope_of(x), 1e3)(x + jax.random.normal(key, x.shape))
    keys = geometry.example_keys(KEY, 3)
    labels = jnp.array([0, 1, 0])
    attack = Square(Network.randomised(noisy, x), 0.1, queries=5)
    found = attack(x, labels, 1 - labels, keys)
    np.testing.assert_array_equal(found.broken, labels == 1)
    np.testing.assert_array_equal(found.x_adv, x)
    losses = [attack.search(x[i:], labels[i:], keys[i:]).loss[-1] for i in (0, 2)]
    np.testing.assert_allclose(*losses, rtol=1e-5)


X = images(2, 4, 4, 1)
BAD_INPUT = {
    "flat": (dict(x=X.reshape(2, 16)), ValueError, r"windows over images .* \(2, 16\)"),
    "no pixels": (dict(x=X[:, :0]), ValueError, "windows over images"),
    "outside": (dict(x=X + 1), ValueError, "x must lie within bounds"),
    "bytes": (dict(x=X.astype(jnp.uint8)), TypeError, "x must be floating"),
    "label": (dict(labels=jnp.array([0, 2])), ValueError, r"lie in \[0, 2\)"),
    "labels": (dict(labels=jnp.array([0])), ValueError, "one for each of the 2 images"),
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
