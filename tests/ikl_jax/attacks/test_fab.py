"""FAB: exact on linear models, and what every attack of the ensemble keeps to."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import attacks
from ikl_jax.attacks.common import loops, network
from ikl_jax.attacks.fab import nearest
from ikl_jax.attacks.fab.boundary import towards_nearest, towards_target
from ikl_jax.attacks.fab.search import Fab, FromRandomPoint
from tests.conftest import cases
from tests.ikl_jax.attacks.test_hyperplane import ORDER, smallest_step, step

# Where the search is.
fab = sys.modules[Fab.__module__]

NORMS = ["linf", "l2", "l1"]
ROWS, FEATURES, CLASSES = 12, 10, 5
RNG = np.random.default_rng(0)
# A third of the entries are at the bounds, so that the box matters.
X = np.clip(RNG.uniform(-0.25, 1.25, (ROWS, FEATURES)), 0, 1).astype(np.float32)
WEIGHT = RNG.standard_normal((FEATURES, CLASSES)).astype(np.float32)
HIDDEN = RNG.standard_normal((FEATURES, 16)).astype(np.float32)
OUT = RNG.standard_normal((16, CLASSES)).astype(np.float32)


def linear(x):
    return x @ jnp.asarray(WEIGHT, x.dtype)


def mlp(x):
    return jnp.tanh(x @ jnp.asarray(HIDDEN)) @ jnp.asarray(OUT)


def predictions(logits_fn, x):
    return np.asarray(jnp.argmax(logits_fn(jnp.asarray(x)), axis=-1))


def other_classes(labels):
    return (labels + 1 + np.arange(len(labels)) % (CLASSES - 1)) % CLASSES


def sizes(delta, norm):
    flat = np.asarray(delta, np.float64).reshape(len(delta), -1)
    return np.linalg.norm(flat, ORDER[norm], axis=1)


def run(attack, x, labels, targets, key=0):
    keys = jax.random.split(jax.random.key(key), len(x))
    return attack(*map(jnp.asarray, (x, labels, targets)), keys)


def attack_of(logits_fn, x=X, **settings):
    return Fab(network.Network.of(logits_fn, jnp.asarray(x)), **settings)


def program_arguments(attack, x, labels, targets):
    """What its chunks of steps are called with."""
    x, labels, targets = map(jnp.asarray, (x.reshape(len(x), -1), labels, targets))
    keys = jax.random.split(jax.random.key(0), len(x))
    problem = fab._Problem(x, labels, targets, keys)
    search = fab._Search(x, nearest.Nearest.none(x))
    return attack.network.constants, problem, search, 0


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    """One step a program, so that a test compiles little."""
    monkeypatch.setattr(loops, "gradient_steps", lambda: 1)


# How near to the exact distance, beyond the boundary as eta says. Where the box stops
# some entries, the others that go beyond are not all that the final search takes back.
@pytest.mark.parametrize(
    ("eta", "looks", "near"), [(1 + 1e-7, 0, 2e-7), (1.05, 3, 5e-3)]
)
@pytest.mark.parametrize("norm", NORMS)
def test_is_exact_between_two_classes_of_a_linear_model(
    norm, eta, looks, near, x64, monkeypatch
):
    monkeypatch.setattr(nearest, "LOOKS", looks)
    x = X.astype(np.float64)
    weight = WEIGHT[:, :2].astype(np.float64)
    labels = (x @ weight).argmax(1)
    found = attacks.fab(
        lambda x: x @ weight, x, labels, 1 - labels, norm=norm, steps=20, eta=eta
    )
    normal = weight[:, 1] - weight[:, 0]
    expected = np.array([smallest_step(row, normal, row @ normal, norm) for row in x])
    assert found.distance.dtype == np.float64
    assert (found.distance >= expected * (1 - 1e-9)).all()
    np.testing.assert_allclose(found.distance, expected, rtol=near)
    np.testing.assert_allclose(sizes(found.x_adv - x, norm), found.distance)
    if not looks:  # which moves what the box has stopped, too
        ends = np.abs(np.asarray(found.x_adv) - 0.5) > 0.5 - 1e-6
        assert (ends & (np.abs(found.x_adv - x) > 1e-3)).any()


def test_where_the_box_does_not_matter_the_final_search_ends_at_the_boundary(x64):
    weight = WEIGHT[:, :2].astype(np.float64)
    normal = weight[:, 1] - weight[:, 0]
    x = np.full((2, FEATURES), 0.5) + 0.01 * np.array([[1.0], [-1.0]]) * normal
    logits = lambda x: (x - 0.5) @ weight
    labels = np.asarray(logits(x)).argmax(1)
    found = attacks.fab(logits, x, labels, 1 - labels, norm="l2", steps=3)
    expected = 0.01 * np.linalg.norm(normal)
    np.testing.assert_allclose(found.distance, expected, rtol=1e-4)


def planes(point, label):
    """All logits of the MLP less the label's, and their gradients, `[C, D]`."""
    hidden, out = HIDDEN.astype(np.float64), OUT.astype(np.float64)
    active = np.tanh(point @ hidden)
    differences = out - out[:, [label]]
    return active @ differences, (hidden @ ((1 - active**2)[:, None] * differences)).T


def nearest_plane(point, label, norm):
    margins, slopes = planes(point, label)
    dual = {"linf": 1, "l2": 2, "l1": np.inf}[norm]
    steepness = np.linalg.norm(slopes, dual, axis=1)
    steepness[label] = np.inf
    distances = np.abs(margins) / steepness
    distances[label] = np.inf
    return int(distances.argmin())


def published_points(x, labels, aim, norm, steps, alpha_max, eta, beta):
    """The algorithm as published, on the MLP in NumPy float64: its iterates.

    `aim` tells the target of a row at its point.
    """
    order, points, wrongs = ORDER[norm], x.copy(), np.zeros(len(x), int)
    for _ in range(steps):
        for row, (clean, label) in enumerate(zip(x, labels, strict=True)):
            point = points[row]
            target = aim(row, point)
            margins, slopes = planes(point, label)
            w = slopes[target]
            offset = margins[target] - w @ point
            both = np.stack([point, clean])
            moves = step(norm, both, np.stack([w, w]), both @ w + offset)
            first, second = np.maximum(np.linalg.norm(moves, order, axis=1), 1e-8)
            alpha = min(first / (first + second), alpha_max)
            ahead = both + eta * moves
            point = np.clip((1 - alpha) * ahead[0] + alpha * ahead[1], 0, 1)
            if planes(point, label)[0].argmax() != label:
                point = clean + beta * (point - clean)
                wrongs[row] += 1
            points[row] = point
    return points, wrongs


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("settings", [(0.1, 1.05, 0.9), (0.4, 1.2, 0.5)])
@pytest.mark.parametrize("boundary", [towards_target, towards_nearest])
def test_makes_the_published_steps(norm, settings, boundary, x64):
    x, labels = X.astype(np.float64), predictions(mlp, X)
    targets = other_classes(labels)
    if boundary is towards_nearest:
        aim = lambda row, point: nearest_plane(point, labels[row], norm)
        used = {aim(row, point) for row, point in enumerate(x)}
        assert len(used) > 1
    else:
        aim = lambda row, point: targets[row]
    expected, wrongs = published_points(x, labels, aim, norm, 6, *settings)
    assert wrongs.any()
    alpha_max, eta, beta = settings
    attack = attack_of(
        mlp, x, epsilon=0.0, norm=norm, steps=6, alpha_max=alpha_max, eta=eta,
        beta=beta, boundary=boundary,
    )  # fmt: skip
    constants, problem, search, _ = program_arguments(attack, x, labels, targets)
    for i in range(6):
        search = attack._advance(constants, problem, search, i)
    np.testing.assert_allclose(search.point, expected, atol=1e-8)


@pytest.mark.parametrize("norm", NORMS)
def test_without_targets_the_nearest_of_all_classes_is_found(norm, x64):
    x = 0.5 + 0.1 * (X.astype(np.float64) - 0.5)  # far from the box
    weight = WEIGHT.astype(np.float64)
    weight -= x.mean(0)[:, None] * (x.mean(0) @ weight) / (x.mean(0) @ x.mean(0))
    labels = (x @ weight).argmax(1)
    assert len(set(labels)) > 2
    found = attacks.fab(lambda x: x @ weight, x, labels, norm=norm, steps=9)
    distances = np.full((ROWS, CLASSES), np.inf)
    for row, (point, label) in enumerate(zip(x, labels, strict=True)):
        for other in set(range(CLASSES)) - {label}:
            normal = weight[:, other] - weight[:, label]
            distances[row, other] = smallest_step(point, normal, point @ normal, norm)
    assert len(set(distances.argmin(1))) > 2
    np.testing.assert_allclose(found.distance, distances.min(1), rtol=1e-3)


@pytest.mark.parametrize("norm", cases(NORMS, quick=["l2"]))
def test_where_loops_are_quick_classes_are_looped_over(norm, monkeypatch):
    labels = predictions(mlp, X)
    find = lambda: attacks.fab(mlp, X, labels, norm=norm, steps=3)
    side_by_side = find()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    np.testing.assert_allclose(find().distance, side_by_side.distance, rtol=1e-4)


@pytest.mark.parametrize("norm", cases(NORMS, quick=["l2"]))
def test_restarts_begin_at_random_points(norm):
    labels = predictions(mlp, X)
    attack = attack_of(
        mlp, epsilon=epsilon_that_breaks_half(norm), norm=norm, steps=8,
        boundary=towards_nearest,
    )  # fmt: skip
    restart = FromRandomPoint(attack, radius=0.5)
    keys = jax.random.split(jax.random.key(0), ROWS)
    start, left = restart._start(jnp.full_like(X, 0.5), keys)
    inside = np.all((start > 0) & (start < 1), axis=1)
    radius = sizes(start - 0.5, norm)
    np.testing.assert_allclose(radius[inside], 0.5 * attack.epsilon, rtol=1e-5)
    assert inside.any()
    assert np.all(np.ptp(np.asarray(start), axis=0) > 0)
    assert not np.any(jax.random.key_data(left) == jax.random.key_data(keys))
    start, _ = restart._start(jnp.asarray(X), keys)
    assert ((start >= 0) & (start <= 1)).all()
    found = run(restart, X, labels, labels)
    assert 0 < found.broken.sum() < ROWS
    assert (predictions(mlp, found.x_adv) != labels)[found.broken].all()
    assert (sizes(found.x_adv - X, norm)[found.broken] <= attack.epsilon).all()
    other = run(restart, X, labels, labels, key=1)
    assert np.any(found.x_adv != other.x_adv)


@pytest.mark.parametrize("boundary", [towards_target, towards_nearest])
def test_slopes_that_are_not_numbers_stop_nothing(boundary):
    x = X.copy()
    x[:, 0] = 0.0  # where the root's slope is infinite
    rooted = lambda x: mlp(x) + 0 * jnp.sqrt(x[:, :1])
    labels = predictions(rooted, x)
    slopes = jax.grad(lambda x: rooted(x).sum())(jnp.asarray(x))
    assert not np.isfinite(slopes).all()
    attack = attack_of(rooted, x, epsilon=10.0, steps=15, boundary=boundary)
    found = run(attack, x, labels, other_classes(labels))
    assert np.isfinite(found.x_adv).all()
    assert found.broken.mean() > 0.5


@pytest.mark.parametrize("norm", NORMS)
def test_what_is_found_is_wrong_in_the_box_and_as_far_as_said(norm):
    labels = predictions(mlp, X)
    found = attacks.fab(mlp, X, labels, other_classes(labels), norm=norm, steps=15)
    x_adv = np.asarray(found.x_adv)
    met = np.isfinite(found.distance)
    assert met.sum() > ROWS / 2
    assert ((x_adv >= 0) & (x_adv <= 1)).all()
    assert (predictions(mlp, x_adv)[met] != labels[met]).all()
    np.testing.assert_allclose(
        sizes(x_adv - X, norm)[met], found.distance[met], rtol=1e-5
    )
    np.testing.assert_array_equal(x_adv[~met], X[~met])


def epsilon_that_breaks_half(norm):
    labels = predictions(mlp, X)
    found = attacks.fab(mlp, X, labels, other_classes(labels), norm=norm, steps=8)
    return float(np.median(found.distance)) * 1.001


@pytest.mark.parametrize("norm", cases(NORMS, quick=["l2"]))
def test_the_attack_finds_what_is_in_the_ball(norm):
    labels = predictions(mlp, X)
    targets = other_classes(labels)
    epsilon = epsilon_that_breaks_half(norm)
    attack = attack_of(mlp, epsilon=epsilon, norm=norm, steps=8)
    found = run(attack, X, labels, targets)
    broken, x_adv = np.asarray(found.broken), np.asarray(found.x_adv)
    least = attacks.fab(mlp, X, labels, targets, norm=norm, steps=8).distance
    np.testing.assert_array_equal(broken, np.asarray(least) <= epsilon)
    assert 0 < broken.sum() < ROWS
    assert (sizes(x_adv - X, norm) <= epsilon * (1 + 1e-6)).all()
    assert ((x_adv >= 0) & (x_adv <= 1)).all()
    assert (predictions(mlp, x_adv)[broken] != labels[broken]).all()
    np.testing.assert_array_equal(x_adv[~broken], X[~broken])


@pytest.mark.parametrize("norm", NORMS)
def test_the_first_that_is_near_enough_stays(norm):
    labels = predictions(mlp, X)
    arguments = (X, labels, other_classes(labels))
    attack = attack_of(mlp, epsilon=10.0, norm=norm, steps=12)  # any will do
    keys = jax.random.split(jax.random.key(0), ROWS)
    states = [*attack.nearest(*map(jnp.asarray, arguments), keys, start=jnp.asarray(X))]
    met = [np.isfinite(state.distance) for state in states]
    for before, after, known in zip(states, states[1:], met, strict=False):
        np.testing.assert_array_equal(after.x_adv[known], before.x_adv[known])
    assert met[0].sum() < met[-1].sum()


def test_a_misclassified_input_is_found_as_it_is():
    labels = other_classes(predictions(mlp, X))
    targets = (labels + 1) % CLASSES
    found = run(attack_of(mlp, epsilon=0.0, steps=3), X, labels, targets)
    assert found.broken.all()
    np.testing.assert_array_equal(found.x_adv, X)
    assert not attacks.fab(mlp, X, labels, targets, steps=3).distance.any()


def counted(attack, monkeypatch):
    """How many chunks are called, one entry each."""
    advance, calls = attack._advance, []
    monkeypatch.setitem(
        attack.__dict__, "_advance", lambda *a: calls.append(a) or advance(*a)
    )
    return calls


def test_ends_when_all_are_broken(monkeypatch):
    labels = predictions(linear, X)
    targets = other_classes(labels)
    for epsilon, least, most in ((1.0, 1, 3), (0.0, 8, 8)):
        attack = attack_of(linear, epsilon=epsilon, steps=8)
        calls = counted(attack, monkeypatch)
        run(attack, X, labels, targets)
        assert least <= len(calls) <= most


def test_is_compiled_once_though_the_last_chunk_is_partial(monkeypatch):
    monkeypatch.setattr(loops, "gradient_steps", lambda: 2)
    labels = predictions(linear, X)
    targets = other_classes(labels)
    traced, step = [], Fab._step
    monkeypatch.setattr(Fab, "_step", lambda *a: traced.append(None) or step(*a))
    attack = attack_of(linear, epsilon=0.0, steps=3)
    run(attack, X, labels, targets)
    before = len(traced)
    run(attack, 1 - X, labels, targets)
    assert len(traced) == before >= 1


def test_a_partial_chunk_makes_no_more_steps(monkeypatch):
    labels = predictions(mlp, X)
    targets = other_classes(labels)
    monkeypatch.setattr(nearest, "LOOKS", 0)
    run = lambda steps: attacks.fab(mlp, X, labels, targets, steps=steps)
    alone, more = run(3), run(4)
    monkeypatch.setattr(loops, "gradient_steps", lambda: 2)
    np.testing.assert_allclose(run(3).distance, alone.distance, rtol=1e-5)
    assert (np.asarray(more.distance) < np.asarray(alone.distance)).any()


def test_no_steps_find_nothing():
    labels = predictions(linear, X)
    found = attacks.fab(linear, X, labels, other_classes(labels), steps=0)
    assert np.isinf(found.distance).all()
    np.testing.assert_array_equal(found.x_adv, X)


@pytest.mark.parametrize("norm", cases(NORMS, quick=["l2"]))
def test_an_example_depends_on_neither_batch_nor_order(norm):
    labels = predictions(mlp, X)
    targets = other_classes(labels)
    whole = attacks.fab(mlp, X, labels, targets, norm=norm, steps=10)
    order = np.random.default_rng(1).permutation(ROWS)[: ROWS // 2]
    part = attacks.fab(
        mlp, X[order], labels[order], targets[order], norm=norm, steps=10
    )
    np.testing.assert_allclose(part.distance, whole.distance[order], rtol=2e-3)
    np.testing.assert_allclose(part.x_adv, whole.x_adv[order], atol=2e-3)


def test_a_random_network_gives_an_example_its_own_noise():
    def noisy(x, key):
        return mlp(x) + 0.3 * jax.random.normal(key, (1, CLASSES))

    labels = predictions(mlp, X)
    targets = other_classes(labels)
    keys = jax.random.split(jax.random.key(1), ROWS)
    attack = Fab(network.Network.randomised(noisy, jnp.asarray(X)), 0.1, steps=5)
    rows = lambda chosen: attack(
        *(jnp.asarray(v)[chosen] for v in (X, labels, targets)), keys[chosen]
    )
    order = np.arange(ROWS)[::-1].copy()
    whole, turned = rows(np.arange(ROWS)), rows(order)
    np.testing.assert_array_equal(turned.broken, whole.broken[order])
    np.testing.assert_allclose(turned.x_adv, whole.x_adv[order], atol=1e-5)
    other = attack(*map(jnp.asarray, (X, labels, targets)), keys[order])
    assert np.any(other.x_adv != whole.x_adv)


def test_a_network_without_slope_is_not_broken():
    flat = lambda x: (
        jnp.zeros((len(x), 3)) + jnp.array([[1.0, 0.0, 0.0]]) + 0 * x[:, :1]
    )
    zeros = np.zeros(ROWS, int)
    for norm in NORMS:
        found = run(
            attack_of(flat, epsilon=0.5, norm=norm, steps=3), X, zeros, zeros + 1
        )
        assert not found.broken.any()
        np.testing.assert_array_equal(found.x_adv, X)


KERNELS = [
    RNG.standard_normal(s).astype(np.float32) for s in ((3, 3, 1, 4), (3, 3, 4, 3))
]


def cnn(x):
    for kernel in KERNELS:
        x = jax.lax.conv_general_dilated(
            x, jnp.asarray(kernel), (2, 2), "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip
        x = jnp.tanh(x)
    return x.mean((1, 2))


def loop_bodies(jaxpr):
    """The programs inside of loops that are loops whatever `loops.repeat` does."""
    for equation in jaxpr.eqns:
        inner = [
            value.jaxpr if hasattr(value, "jaxpr") else value
            for value in equation.params.values()
            if hasattr(value, "jaxpr") or hasattr(value, "eqns")
        ]
        if equation.primitive.name == "while":
            yield from inner
        for program in inner:
            yield from loop_bodies(program)


def test_no_convolution_is_in_a_loop_on_cpu(monkeypatch):
    """Their gradients are slow there; the loops of projections are of a few numbers."""
    monkeypatch.setattr(loops, "gradient_steps", lambda: 3)
    images = jnp.asarray(RNG.random((2, 8, 8, 1)), jnp.float32)
    attack = attack_of(cnn, images, epsilon=0.1, steps=6)
    zeros = jnp.zeros(2, int)
    arguments = program_arguments(attack, images, zeros, zeros + 1)
    compiled = attack._advance.lower(*arguments).compile().as_text()
    assert compiled.count(" while(") == 3  # the projections of each step
    bodies = [*loop_bodies(jax.make_jaxpr(attack._advance)(*arguments).jaxpr)]
    assert bodies
    assert not any("conv_general_dilated" in str(body) for body in bodies)


def test_the_weights_are_arguments_of_the_program():
    big = jnp.asarray(RNG.standard_normal((FEATURES, 5000)), jnp.float32)
    attack = attack_of(lambda x: (x @ big)[:, :CLASSES], epsilon=0.1, steps=2)
    assert any(array.size == big.size for array in attack.network.constants)
    labels = jnp.zeros(ROWS, int)
    arguments = program_arguments(attack, X, labels, labels + 1)
    assert len(attack._advance.lower(*arguments).as_text()) < 200_000
    for program, given in (
        (attack._advance, arguments),
        (attack._finish, (*arguments[:2], arguments[2].nearest)),
    ):
        constants = jax.make_jaxpr(program)(*given).consts
        assert not any(np.size(array) == big.size for array in constants)


@pytest.mark.parametrize("shape", [(), (3,), (4, 4, 2)])
def test_inputs_of_any_shape(shape):
    x = RNG.random((6, *shape)).astype(np.float32)
    slope = RNG.standard_normal(shape).astype(np.float32)

    def two_classes(x):
        score = jnp.sum((x - 0.5) * slope[None], axis=tuple(range(1, x.ndim)))
        return jnp.stack([score, -score], axis=1)

    labels = predictions(two_classes, x)
    found = attacks.fab(two_classes, x, labels, 1 - labels, steps=5)
    assert np.isfinite(found.distance).all()
    assert found.x_adv.shape == x.shape
    assert (predictions(two_classes, found.x_adv) != labels).all()


def test_under_jit_it_is_the_same_and_lets_no_gradient_through():
    labels = predictions(mlp, X)
    targets = other_classes(labels)
    plain = attacks.fab(mlp, X, labels, targets, steps=5)
    inside = jax.jit(lambda x: attacks.fab(mlp, x, labels, targets, steps=5))(X)
    np.testing.assert_allclose(inside.distance, plain.distance, rtol=1e-4)

    def total(x, scale):
        scaled = lambda x: scale * mlp(x)
        return attacks.fab(scaled, x, labels, targets, steps=2).x_adv.sum()

    gradients = jax.grad(total, argnums=(0, 1))(jnp.asarray(X), 1.0)
    assert not any(np.any(gradient) for gradient in gradients)


def test_bfloat16_inputs_are_searched_in_float32():
    labels = predictions(linear, X)
    x = jnp.asarray(X).astype(jnp.bfloat16)
    found = attacks.fab(linear, x, labels, other_classes(labels), steps=2)
    assert found.x_adv.dtype == found.distance.dtype == jnp.float32


LABELS = np.arange(ROWS) % CLASSES
BAD_INPUT = {
    "norm": (dict(norm="l3"), ValueError, "unknown norm 'l3'; did you mean 'l2'"),
    "steps": (dict(steps=-1), ValueError, "steps must be >= 0, got -1"),
    "alpha": (dict(alpha_max=1.5), ValueError, r"alpha_max must lie in \[0, 1\], got 1.5"),
    "beta": (dict(beta=-0.5), ValueError, r"beta must lie in \[0, 1\], got -0.5"),
    "eta": (dict(eta=0.0), ValueError, "eta must be > 0, got 0"),
    "x outside": (dict(x=X + 1), ValueError, r"x must lie within bounds \[0.0, 1.0\]"),
    "x of bytes": (dict(x=np.zeros((ROWS, FEATURES), np.uint8)), TypeError, "x must be floating"),
    "no batch": (dict(x=np.float32(0.5)), ValueError, "x must have 1 or more dimensions"),
    "labels too large": (dict(labels=LABELS + 1), ValueError, r"labels must lie in \[0, 5\), got values from 1 to 5"),
    "targets too large": (dict(targets=LABELS + 1), ValueError, r"targets must lie in \[0, 5\), got values from 1 to 5"),
    "targets of floats": (dict(targets=LABELS * 1.0), TypeError, "targets must be integers, got float32"),
    "equal": (dict(targets=LABELS), ValueError, "targets must differ from labels, got equal ones in 12 of 12 rows"),
    "few labels": (dict(labels=LABELS[:3]), ValueError, r"labels must have shape \(12,\), got \(3,\)"),
    "targets of rows": (dict(targets=LABELS[:, None]), ValueError, r"targets must have shape \(12,\), got \(12, 1\)"),
    "no logits": (dict(logits_fn=lambda x: x.sum(1)), ValueError, "a row of logits"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input(name):
    changed, error, message = BAD_INPUT[name]
    arguments = dict(
        logits_fn=linear, x=X, labels=LABELS, targets=(LABELS + 1) % CLASSES
    )
    arguments |= changed
    positional = [arguments.pop(k) for k in ("logits_fn", "x", "labels", "targets")]
    with pytest.raises(error, match=message):
        attacks.fab(*positional, **arguments)


def test_a_negative_epsilon_is_refused():
    with pytest.raises(ValueError, match="epsilon must be >= 0, got -0.1"):
        attack_of(linear, epsilon=-0.1)
