"""APGD against closed forms, and against its description in NumPy float64."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax.attacks.apgd import Apgd, apgd, search
from ikl_jax.attacks.apgd.halving import Point
from ikl_jax.attacks.apgd.l1 import project_l1_in_box
from ikl_jax.attacks.apgd.search import Batch
from ikl_jax.attacks.common import loops, losses
from ikl_jax.attacks.common.attack import Found
from ikl_jax.attacks.common.network import Network
from tests.conftest import cases
from tests.support import apgd_reference

NORMS = ["linf", "l2", "l1"]
CROSS_ENTROPY = losses.untargeted(losses.cross_entropy)
DLR = losses.untargeted(losses.dlr)


def difference(logits, labels, targets):
    """Linear in the logits: its optimum is known."""
    rows = jnp.arange(len(labels))
    return logits[rows, targets] - logits[rows, labels]


def with_a_sure_class(weights):
    """One class more, which always wins: its examples keep a search from ending."""
    weights = jnp.asarray(weights, jnp.float32)
    sure = lambda x: jnp.full((len(x), 1), 1e3)
    return lambda x: jnp.concatenate([x @ weights, sure(x)], axis=-1)


def keys_of(count, seed=0):
    return jax.random.split(jax.random.key(seed), count)


def size(delta, norm):
    flat = np.abs(np.asarray(delta, np.float64)).reshape(len(delta), -1)
    sizes = {"linf": flat.max(1), "l2": np.sqrt((flat**2).sum(1)), "l1": flat.sum(1)}
    return sizes[norm]


def linear_case(seed=0, batch=6, inputs=40, classes=5, low=0.3, high=0.7):
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((inputs, classes))
    x = rng.uniform(low, high, (batch, inputs)).astype(np.float32)
    labels, targets = rng.integers(0, classes, (2, batch))
    targets = np.where(targets == labels, (labels + 1) % classes, targets)
    slopes = (weights[:, targets] - weights[:, labels]).T
    # The last one is not broken.
    labels[-1], slopes[-1] = classes, weights[:, targets[-1]]
    return weights, x, labels, targets, slopes


def linear_optimum(slopes, x, epsilon, norm):
    """How much a linear function can grow in ball and box (l2: in the ball)."""
    if norm == "l2":
        return epsilon * np.linalg.norm(slopes, axis=1)
    room = np.where(slopes > 0, 1 - x.astype(np.float64), x)
    if norm == "linf":
        return (np.abs(slopes) * np.minimum(room, epsilon)).sum(1)
    growth = []
    for slope, left in zip(np.abs(slopes), room, strict=True):
        order = np.argsort(-slope)
        spent = np.minimum(np.cumsum(left[order]), epsilon)
        growth.append((slope[order] * np.diff(spent, prepend=0.0)).sum())
    return np.array(growth)


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
    network = Network.of(with_a_sure_class(weights), x)
    attack = Apgd(network, epsilon, norm, difference, steps=100)
    best = attack.search(x, labels, targets, keys_of(len(x))).best
    growth = (slopes * (np.asarray(best.x, np.float64) - x)).sum(1)
    # In the l1 ball the method itself stops short: its steps are never of one entry.
    tolerance = {"linf": 1e-5, "l2": 1e-4, "l1": 0.25}[norm]
    optimum = linear_optimum(slopes, x, epsilon, norm)
    np.testing.assert_allclose(growth, optimum, rtol=tolerance)
    assert (size(best.x - x, norm) <= epsilon * (1 + 1e-5)).all()


class Float64(Network):
    """So that the description's numbers are met to more than a sign's flip."""

    def logits(self, constants, x, keys):
        return self._fn(x, keys)


def assert_agrees(state, expected, decided, **fields):
    assert decided.sum() >= 5
    for name, got in fields.items():
        want = np.array([row[name] for row in expected])
        np.testing.assert_allclose(got[decided], want[decided], atol=1e-7, err_msg=name)
    assert not state.found.broken.all()  # it did not end early


@pytest.mark.parametrize(
    ("norm", "epsilon", "steps", "before"),
    [
        ("linf", 0.15, 50, None),
        ("linf", 0.15, 50, 0.0),
        ("l2", 0.3, 20, None),
        ("l2", 0.3, 20, 0.0),
    ],
)
@pytest.mark.usefixtures("x64")
def test_iterates_agree_with_the_description(norm, epsilon, steps, before):
    perceptron = apgd_reference.Perceptron(seed=3)
    x = np.random.default_rng(1).uniform(size=(12, 6))
    labels = perceptron.logits(x).argmax(-1)
    network = Float64.of(lambda x: perceptron.logits(x, jnp), x)
    attack = Apgd(
        network, epsilon, norm, CROSS_ENTROPY, steps, loss_before_start=before
    )
    keys = keys_of(len(x))
    state = attack.search(jnp.asarray(x), labels, labels, keys)
    start = attack._rules.start(
        x, jax.vmap(lambda key: jax.random.fold_in(key, 0))(keys), epsilon
    )
    expected = [
        apgd_reference.search(perceptron, *row, epsilon, norm, steps, before)
        for row in zip(x, labels, np.asarray(start), strict=True)
    ]
    assert sum(len(row["halved"]) for row in expected) > len(x)
    # In l-infinity, what converges does so to a corner, where no loss is rounded.
    least = {"linf": -1.0, "l2": 1e-9}[norm]
    decided = np.array([row["margin"] > least for row in expected])
    assert_agrees(
        state, expected, decided, last=state.now.x, best=state.best.x, loss=state.best.loss,
        step=state.memory.step_size, first_wrong=state.found.x_adv,
        broken=state.found.broken,
    )  # fmt: skip


@pytest.mark.usefixtures("x64")
def test_l1_iterates_agree_with_the_description():
    perceptron = apgd_reference.Perceptron(seed=3, inputs=30, scale=2.0)
    x = np.random.default_rng(1).uniform(size=(8, 30))
    labels = perceptron.logits(x).argmax(-1)
    network = Float64.of(lambda x: perceptron.logits(x, jnp), x)
    attack = Apgd(network, 0.8, "l1", CROSS_ENTROPY, 100)
    batch = Batch(jnp.asarray(x), labels, labels, keys_of(len(x)))
    state = attack.search(*batch)
    expected = [
        apgd_reference.search_l1(perceptron, *row, 0.8, 100)
        for row in zip(x, labels, np.asarray(attack._start(batch, 2.4)), strict=True)
    ]
    assert sum(row["restarts"] for row in expected) > 3 * len(x)
    assert_agrees(
        state, expected, np.ones(len(x), bool), last=state.now.x, best=state.best.x, loss=state.best.loss,
        step=state.memory.step_size,
    )  # fmt: skip


@pytest.mark.parametrize(("before", "step_size"), [(None, 0.1), (0.0, 0.2)])
def test_what_the_first_steps_loss_is_compared_with(before, step_size):
    """A loss of 1 after one of 2 is no increase, but one after the authors' zero."""
    rules = Apgd(None, 0.1, "linf", CROSS_ENTROPY, loss_before_start=before)._rules
    x = jnp.full((1, 2), 0.5)
    start = Point(x, jnp.array([2.0]), x)
    worse = Point(x + 0.1, jnp.array([1.0]), x)
    memory = rules.begin(x, start, 0.1)
    now, memory = rules.adapt(x, worse, start, memory, jnp.asarray(1), 0.1)
    np.testing.assert_allclose(memory.step_size, step_size)
    np.testing.assert_array_equal(now.x, x if before is None else worse.x)


def test_checkpoints_are_the_papers():
    rules = Apgd(None, 0.1, "linf", CROSS_ENTROPY)._rules
    lengths = rules.checkpoints(100)
    np.testing.assert_array_equal(
        np.flatnonzero(lengths) + 1, [22, 41, 57, 70, 80, 87, 93, 99]
    )
    np.testing.assert_array_equal(lengths[lengths > 0], [22, 19, 16, 13, 10, 7, 6, 6])
    for steps in range(4):
        assert rules.checkpoints(steps).tolist() == [1] * steps


def test_l1_searches_larger_balls_first():
    rules = Apgd(None, 1.0, "l1", CROSS_ENTROPY)._rules
    assert rules.stages(1.0, 100) == [(3.0, 30), (2.0, 30), (1.0, 40)]
    for steps in range(7):
        assert sum(stage.steps for stage in rules.stages(1.0, steps)) == steps


@pytest.mark.parametrize("norm", cases(NORMS, quick=["linf"]))
def test_the_start_is_random_and_depends_on_the_examples_key(norm):
    x = jnp.full((4, 5, 3), 0.5)
    rules = Apgd(None, 0.1, norm, CROSS_ENTROPY)._rules
    start = rules.project(rules.start(x, keys_of(4), 0.1), x, 0.1)
    np.testing.assert_allclose(size(start - x, norm), 0.1, rtol=1e-5)
    assert len({tuple(row.ravel()) for row in np.asarray(start)}) == 4
    alone = rules.project(rules.start(x[2:3], keys_of(4)[2:3], 0.1), x[2:3], 0.1)
    np.testing.assert_allclose(start[2:3], alone, atol=1e-7)


def test_l1_projection_is_the_nearest_point_of_ball_and_box():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(40, 50)).astype(np.float32)
    x[:10] = np.round(x[:10])  # at the faces of the box
    z = x + rng.standard_normal(x.shape) * rng.uniform(0, 2, (40, 1))
    z = z.astype(np.float32)
    z[5], z[6, :25] = x[5], x[6, :25]
    z[7] = z[7, 0]  # all alike
    for epsilon in (0.0, 0.01, 1.0, 7.0, 100.0):
        got = np.asarray(project_l1_in_box(jnp.asarray(z), jnp.asarray(x), epsilon))
        expected = [
            apgd_reference.l1_in_box(*row, epsilon)
            for row in zip(z.astype(np.float64), x.astype(np.float64), strict=True)
        ]
        np.testing.assert_allclose(got, expected, atol=3e-6)
        assert (got >= 0).all()
        assert (got <= 1).all()


def test_l1_projection_of_many_coordinates_stays_in_the_ball():
    x = jax.random.uniform(jax.random.key(0), (2, 64, 64, 3))
    z = x + jax.random.normal(jax.random.key(1), x.shape)
    for epsilon in (0.5, 12.0, 300.0):
        projected = project_l1_in_box(z, x, epsilon)
        np.testing.assert_allclose(size(projected - x, "l1"), epsilon, rtol=1e-4)


def small_cnn(classes=4):
    """Two layers, for images of any shape of two channels."""
    first = 0.7 * jax.random.normal(jax.random.key(1), (3, 3, 2, 6))
    second = 0.7 * jax.random.normal(jax.random.key(2), (3, 3, 6, classes))

    def logits_fn(x):
        convolve = lambda x, kernel: jax.lax.conv_general_dilated(
            x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return convolve(jnp.tanh(convolve(x - 0.5, first)), second).mean((1, 2))

    return logits_fn


def cnn_case(batch=7, shape=(8, 6, 2)):
    logits_fn = small_cnn()
    x = jax.random.uniform(jax.random.key(3), (batch, *shape))
    labels = jnp.argmax(logits_fn(x), -1)
    return logits_fn, x, labels


RADII = {"linf": 0.04, "l2": 0.2, "l1": 0.6}


@pytest.mark.parametrize("norm", NORMS)
def test_images_stay_in_ball_and_box_and_are_what_is_said(norm):
    logits_fn, x, labels = cnn_case()
    found = apgd(
        logits_fn, x, labels, epsilon=RADII[norm], norm=norm, loss=DLR, steps=20,
        key=jax.random.key(0),
    )  # fmt: skip
    x_adv, broken = np.asarray(found.x_adv), np.asarray(found.broken)
    assert broken.any()
    assert not broken.all()
    assert (size(x_adv - x, norm) <= RADII[norm] * (1 + 1e-5)).all()
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    np.testing.assert_array_equal(jnp.argmax(logits_fn(x_adv), -1) != labels, broken)
    np.testing.assert_array_equal(x_adv[~broken], x[~broken])
    np.testing.assert_array_equal(size(x_adv - x, norm) > 0, broken)


@pytest.mark.parametrize("norm", cases(NORMS, quick=["linf"]))
def test_a_batch_its_order_and_the_chunk_do_not_matter(norm, monkeypatch):
    logits_fn, x, labels = cnn_case(batch=5)
    network = Network.of(logits_fn, x)
    search = lambda rows: Apgd(network, RADII[norm], norm, CROSS_ENTROPY, 14)(
        x[rows], labels[rows], labels[rows], keys_of(5)[rows]
    )
    rows = jnp.arange(5)
    whole = search(rows)
    assert 0 < whole.broken.sum() < 5
    monkeypatch.setattr(loops, "gradient_steps", lambda: 3)
    for rows in (jnp.arange(5), jnp.array([4, 0, 3])):
        part = search(rows)
        np.testing.assert_array_equal(part.broken, whole.broken[rows])
        np.testing.assert_allclose(part.x_adv, whole.x_adv[rows], atol=1e-5)


def test_a_chunk_that_does_not_divide_the_steps_changes_nothing(monkeypatch):
    logits_fn, x, labels = cnn_case(batch=3)
    attack = lambda: Apgd(Network.of(logits_fn, x), 0.02, "linf", CROSS_ENTROPY, 7)
    monkeypatch.setattr(loops, "gradient_steps", lambda: 7)
    whole = attack().search(x, labels, labels, keys_of(3))
    monkeypatch.setattr(loops, "gradient_steps", lambda: 5)
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


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_sums_are_the_same_side_by_side_or_in_turn(backend, count, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    got = loops.total(lambda i: {"a": i * X, "b": jnp.cos(i)}, count)
    np.testing.assert_allclose(got["a"], sum(range(count)) * X)
    np.testing.assert_allclose(got["b"], np.cos(np.arange(count)).sum(), rtol=1e-5)


def test_ends_early_and_keeps_what_was_first_misclassified():
    logits_fn, x, labels = cnn_case(batch=3)
    attack = Apgd(Network.of(logits_fn, x), 0.5, "linf", CROSS_ENTROPY, 100)
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
        found.x_adv[first.broken], at_the_start.now.x[first.broken], atol=1e-6
    )


def test_compiled_for_cpu_no_loop_is_left_and_constants_are_arguments():
    logits_fn, x, labels = cnn_case(batch=2)
    heavy = jax.random.normal(jax.random.key(0), (96, 20_000))
    both = lambda x: logits_fn(x) + (x.reshape(2, -1) @ heavy)[:, :4]
    network = Network.of(both, x)
    attack = Apgd(network, 0.01, "linf", DLR, steps=5)
    batch = Batch(x, labels, labels, keys_of(2))
    state = attack.search(*batch)
    lowered = attack._advance.lower(
        network.constants, batch, state, 0.01, 0,
        np.zeros(5, np.int32), np.ones(5, bool), True,
    )  # fmt: skip
    assert len(lowered.as_text()) < 300_000
    compiled = lowered.compile().as_text()
    assert compiled.count("convolution(") > 5
    assert " while(" not in compiled


@pytest.mark.slow
def test_noise_is_averaged_and_an_examples_own():
    weights = jnp.array([[1.0, -1.0, 0.0], [0.5, 0.0, 2.0]])
    noise = lambda key: jax.random.uniform(key, weights.shape, minval=-2, maxval=2)
    noisy = lambda x, key: x @ (weights + noise(key))
    x = jnp.full((6, 2), 0.5)
    labels, targets = jnp.zeros(6, int), jnp.ones(6, int)
    network = Network.randomised(noisy, x)
    search = lambda samples, rows: Apgd(
        network, 0.1, "linf", difference, steps=0, eot_samples=samples
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


@pytest.mark.slow
def test_most_samples_must_be_misclassified():
    """With a network that is wrong three times out of ten, whatever the input."""

    def moody(x, key):
        wrong = jax.random.uniform(key) < 0.3
        return jnp.where(wrong, 1.0, -1.0) * jnp.array([[0.0, 1.0]]) + 0 * x

    x, zeros = jnp.full((6, 2), 0.5), jnp.zeros(6, int)
    network = Network.randomised(moody, x)
    broken = lambda samples, steps: (
        Apgd(network, 0.1, "linf", CROSS_ENTROPY, steps=steps, eot_samples=samples)(
            x, zeros, zeros, keys_of(6)
        ).broken
    )
    assert broken(1, 20).sum() > 4
    assert not broken(45, 4).any()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("loss", [DLR, losses.targeted_dlr])
def test_few_classes_and_flat_vectors(classes, loss):
    weights = jax.random.normal(jax.random.key(0), (10, classes))
    x = jax.random.uniform(jax.random.key(1), (8, 10), minval=0.3, maxval=0.7)
    logits_fn = lambda x: (x - 0.5) @ weights
    labels = jnp.argmax(logits_fn(x), -1)
    found = apgd(
        logits_fn, x, labels, epsilon=0.2, loss=loss, steps=10, key=jax.random.key(0)
    )
    slopes = weights.T[None] - weights.T[labels][:, None]
    optimum = 0.2 * jnp.abs(slopes).sum(-1) + jnp.sum(slopes * (x - 0.5)[:, None], -1)
    others = jnp.arange(classes)[None] != labels[:, None]
    if classes == 2:  # the only other class: the loss knows the best one
        np.testing.assert_array_equal(found.broken, (others & (optimum > 0)).any(-1))
    assert found.broken.any()


def test_a_gradient_that_is_not_a_number_spoils_nothing():
    logits_fn = lambda x: jnp.stack(
        [x[:, 0] + jnp.sqrt(x[:, 1] * 0.0), 0.55 + 0 * x[:, 0]], -1
    )
    x = jnp.array([[0.6, 0.5]])
    found = apgd(
        logits_fn, x, jnp.array([0]), epsilon=0.1, steps=5, key=jax.random.key(0)
    )
    assert found.broken.all()
    assert np.isfinite(found.x_adv).all()


def test_restarts_run_only_where_nothing_was_found(monkeypatch):
    calls = []

    def fake(self, x, labels, targets, keys):
        calls.append((np.asarray(x[:, 0]), targets, jax.random.key_data(keys)))
        return Found(x + 0.01 * len(calls), x[:, 0] <= 0.2 * len(calls))

    monkeypatch.setattr(Apgd, "__call__", fake)
    x = jnp.array([[0.9, 0.0], [0.1, 0.0], [0.3, 0.0], [0.7, 0.0], [0.5, 0.8]])
    logits_fn = lambda x: jnp.concatenate([x, 0.1 + 0 * x[:, :1]], -1)
    run = lambda restarts: apgd(
        logits_fn, x, jnp.zeros(5, int), epsilon=0.1, restarts=restarts,
        key=jax.random.key(0),
    )  # fmt: skip
    found = run(4)
    rows = [np.unique(x).tolist() for x, _, _ in calls]
    expected = [[0.1, 0.3, 0.7, 0.9], [0.3, 0.7, 0.9], [0.7, 0.9], [0.7, 0.9]]
    assert [np.round(row, 3).tolist() for row in rows] == expected
    assert [len(x) for x, _, _ in calls] == [5, 5, 2, 2]
    np.testing.assert_array_equal(found.broken, [False, True, True, True, True])
    np.testing.assert_array_equal(found.x_adv[4], x[4])  # wrong as it is
    assert (calls[0][1] == 2).all()  # the runner-up
    assert (calls[2][2] != calls[3][2]).any()
    calls.clear()
    run(1)
    assert len(calls) == 1


def test_nothing_to_attack():
    logits_fn, x, labels = cnn_case(batch=2)
    for rows in (slice(0, 2), slice(0, 0)):
        found = apgd(
            logits_fn, x[rows], labels[rows] ^ 1, epsilon=0.1, key=jax.random.key(0)
        )
        assert found.broken.all()
        np.testing.assert_array_equal(found.x_adv, x[rows])


X = jnp.full((3, 4), 0.5)
BAD_INPUT = {
    "epsilon": (dict(epsilon=0.0), ValueError, "epsilon must be > 0, got 0"),
    "steps": (dict(steps=-1), ValueError, "steps must be >= 0, got -1"),
    "restarts": (dict(restarts=0), ValueError, "restarts must be > 0, got 0"),
    "norm": (dict(norm="Linf"), ValueError, "unknown norm 'Linf'; did you mean 'linf'"),
    "x outside": (dict(x=X + 1), ValueError, r"x must lie within bounds \[0.0, 1.0\]"),
    "bytes": (dict(x=jnp.ones((3, 4), int)), TypeError, "x must be floating"),
    "labels": (dict(labels=jnp.arange(3) + 2), ValueError, r"labels must lie in \[0, 4\)"),
    "labels' shape": (dict(labels=jnp.arange(2)), ValueError, r"\(3,\), got \(2,\)"),
    "labels' type": (dict(labels=jnp.ones(3)), TypeError, "labels must be integers"),
    "targets": (dict(targets=jnp.arange(3) - 1), ValueError, r"targets must lie in"),
    "targets' shape": (dict(targets=jnp.arange(2)), ValueError, r"targets \(2,\)"),
    "keys": (dict(key=jax.random.split(jax.random.key(0), 2)), ValueError, "3 keys"),
    "logits": (dict(logits_fn=lambda x: x.sum(-1)), ValueError, "a row of logits"),
    "loss": (dict(loss=lambda z, y, t: z.sum()), ValueError, "one value per example"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input(name):
    changed, error, message = BAD_INPUT[name]
    arguments = dict(
        logits_fn=lambda x: x, x=X, labels=jnp.zeros(3, int), epsilon=0.1, steps=1,
        key=jax.random.key(0),
    ) | changed  # fmt: skip
    positional = [arguments.pop(key) for key in ("logits_fn", "x", "labels")]
    with pytest.raises(error, match=message):
        apgd(*positional, **arguments)


def test_bad_fields():
    for changed, message in (
        (dict(rho=1.5), "rho must lie in"),
        (dict(eot_samples=0), "eot_samples must be > 0"),
    ):
        with pytest.raises(ValueError, match=message):
            Apgd(None, 0.1, "linf", DLR, **changed)


def test_not_inside_of_jit():
    run = lambda x: apgd(
        lambda x: x, x, jnp.zeros(3, int), epsilon=0.1, key=jax.random.key(0)
    )
    with pytest.raises(TypeError, match="outside of jit"):
        jax.jit(run)(X)
