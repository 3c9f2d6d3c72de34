"""A batch in parts gives the whole batch's step, on one device and on eight."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ikl_jax
from tests.conftest import case_rows
from tests.support.recipes import batch, make
from train.devices import sharding
from train.recipes.accumulation import Accumulation, Outcome
from train.recipes.losses import DIVERGENCES, Coefficients, Target

# Continuous and well-conditioned, so that rounding does not become another adversarial
# example, and a step so long that subtracting the start from its end loses nothing.
SMOOTH = {
    "attack__norm": "l2", "attack__loss": "cross_entropy", "attack__epsilon": 0.5,
    "attack__steps": 1, "optimizer__weight_decay": 0.0,
    "optimizer__learning_rate": 100.0,
}  # fmt: skip
CASES = {
    "supervised": {"name": "supervised", **SMOOTH},
    "kl": {"loss__name": "kl", **SMOOTH},
    "ikl": {**SMOOTH, "awp__gamma": 0.02, "loss__weight_temperature": 2.0},
    "gkl": {
        **SMOOTH, "loss__name": "gkl", "loss__gamma": 0.5, "attack__loss": "gkl",
        "attack__gamma": 2.0, "attack__start": "uniform",
    },
    "groups": {
        **SMOOTH, "name": "supervised", "model": "wide_resnet_10_1",
        "model__bn_groups": 16,
    },
}  # fmt: skip


def one_step(data, mesh=None, **changed):
    """What a step from uneven class means moves, and its metrics."""
    recipe_, _ = make(mesh=mesh, **changed)
    start = recipe_.init(jax.random.key(0))
    if start.class_means is not None:
        rows = jax.nn.softmax(2 * jax.random.normal(jax.random.key(1), (4, 4)))
        start = start.replace(class_means=start.class_means.replace(mean=rows))
    if mesh is not None:
        start = jax.device_put(start, sharding.replicated(mesh))
        data = jax.device_put(data, sharding.over_batch(mesh))
    state, metrics = jax.jit(recipe_.step)(start, data)
    moved = jax.tree.map(jnp.subtract, state.params, start.params)
    statistics = jax.tree.map(jnp.subtract, state.batch_stats, start.batch_stats)
    return moved, statistics, state.class_means, metrics


@functools.cache
def whole(case, count=16):
    return one_step(batch(count), **CASES[case])


def assert_same(ours, expected, relative=1e-5):
    """Each leaf within `relative` of the expected leaf's largest entry."""
    paths = jax.tree_util.tree_leaves_with_path(ours)
    for (path, a), b in zip(paths, jax.tree.leaves(expected), strict=True):
        tolerance = relative * float(np.abs(b).max())
        name = jax.tree_util.keystr(path)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance, err_msg=name)


PARTS = [("supervised", 4), ("kl", 2), ("ikl", 4), ("gkl", 4)]


@pytest.mark.parametrize(
    ("case", "parts"), case_rows(PARTS, quick=[("kl", 2)], mark=pytest.mark.long)
)
def test_parts_give_the_whole_batchs_step(case, parts):
    ours = one_step(batch(), **CASES[case], accumulate=parts)
    assert_same(ours, whole(case))
    if ours[2] is not None:
        assert jnp.sum(ours[2].count) == 16
    assert all(np.any(leaf) for leaf in jax.tree.leaves(ours[0]))


@pytest.mark.long
def test_parts_divided_over_devices_give_the_whole_batchs_step():
    mesh = sharding.create_mesh()
    ours = one_step(batch(), mesh, **CASES["gkl"], accumulate=2)
    assert_same(ours, whole("gkl"))


@pytest.mark.long
@pytest.mark.parametrize("devices", [1, 8])
def test_second_views_in_parts_and_over_devices(devices):
    data = batch()
    data["second_view"] = batch(start=16)["image"]
    changed = CASES["ikl"] | dict(
        loss__second_view_weight=0.3, awp__second_view_weight=0.6
    )
    mesh = sharding.create_mesh() if devices == 8 else None
    ours = one_step(data, mesh, **changed, accumulate=2)
    assert_same(ours, one_step(data, **changed), relative=1e-4)
    assert jnp.sum(ours[2].count) == 16


@pytest.mark.long
def test_parts_are_made_of_batch_norms_groups():
    mesh = sharding.create_mesh()
    ours = one_step(batch(32), mesh, **CASES["groups"], accumulate=2)
    assert_same(ours, whole("groups", 32), relative=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 8])
@pytest.mark.parametrize("groups", [4, 16])
def test_an_attacked_wide_resnet_in_parts(groups, devices):
    mesh = sharding.create_mesh() if devices == 8 else None
    changed = SMOOTH | dict(
        model="wide_resnet_10_1", model__bn_groups=groups, awp__gamma=0.02,
        batch_norm__attack="batch",
    )  # fmt: skip
    expected = one_step(batch(32), **changed)
    ours = one_step(batch(32), mesh, **changed, accumulate=2)
    assert_same(ours, expected, relative=1e-3)


@pytest.mark.parametrize(("groups", "blocks"), [(16, 8), (4, 2), (2, 1), (None, 8)])
def test_whole_groups_and_every_device_where_that_goes(groups, blocks):
    changed = {} if groups is None else dict(model="wide_resnet_10_1")
    changed |= {} if groups is None else dict(model__bn_groups=groups)
    _, task = make(mesh=sharding.create_mesh(), accumulate=2, **changed)
    divided = Accumulation.of(task)
    assert divided.blocks == blocks
    rows = np.asarray(divided.split(jnp.arange(64)))
    assert rows[0, 0] == 0
    assert sorted(rows.ravel()) == list(range(64))
    size = 64 // (groups or 16)
    for group in rows.reshape(-1, size):
        np.testing.assert_array_equal(group, group[0] + np.arange(size))
        assert group[0] % size == 0


def test_devices_take_their_share_of_a_part_from_their_own_rows():
    mesh = sharding.create_mesh()
    rows = jax.device_put(jnp.arange(64), sharding.over_batch(mesh))
    divided = Accumulation(4, 8, mesh)
    split = jax.jit(divided.split).lower(rows).compile()
    join = jax.jit(divided.join).lower(split(rows)).compile()
    np.testing.assert_array_equal(join(split(rows)), rows)
    for collective in ("all-", "collective", "reduce-scatter"):
        assert collective not in split.as_text()
        assert collective not in join.as_text()
    for shard in split(rows).addressable_shards:
        assert shard.data.shape == (4, 2)
        assert len(np.unique(np.asarray(shard.data) // 8)) == 1


def test_memory_is_that_of_a_part(accelerators_form):
    """In the loop that accelerators run; without one, CPU's schedule decides."""
    sizes = {}
    for parts in (1, 4):
        recipe_, _ = make(name="supervised", accumulate=parts)
        state = jax.eval_shape(recipe_.init, jax.random.key(0))
        compiled = jax.jit(recipe_.step).lower(state, batch(128)).compile()
        assert (" while(" in compiled.as_text()) == (parts > 1)
        sizes[parts] = compiled.memory_analysis().temp_size_in_bytes
    assert sizes[4] < 0.6 * sizes[1]


@pytest.mark.parametrize("parts", [1, 4])
def test_no_loop_on_cpu(parts):
    """Not even one of a single turn, in which convolutions would be as slow."""
    recipe_, _ = make(name="supervised", accumulate=parts)
    state = jax.eval_shape(recipe_.init, jax.random.key(0))
    program = jax.jit(recipe_.step).lower(state, batch()).as_text()
    assert "convolution" in program
    assert "while" not in program


@pytest.mark.long
@pytest.mark.parametrize(
    ("gamma", "size"), [(0.0, 1.0), (0.5, 1.0), (2.0, 1.0), (2.0, 1e-15)]
)
def test_gkl_in_parts_is_gkl(gamma, size):
    _, task = make(loss__name="gkl", loss__gamma=gamma)
    config = task.config.loss
    logits, target, weights = jax.random.normal(jax.random.key(0), (3, 8, 4))
    weights = size * jnp.abs(weights)
    expected = ikl_jax.gkl_loss(
        logits, target, weights, alpha=config.alpha, beta=config.beta, gamma=gamma
    )
    gkl, coefficients = DIVERGENCES["gkl"], Coefficients.of(config)
    labels = jnp.zeros(8, int)
    scale = gkl.scale(weights, gamma)
    for rows in (slice(0, 3), slice(3, 8)):
        part = Target(target[rows], labels[rows], weights[rows], scale)
        ours = gkl.loss(logits[rows], part, coefficients)
        np.testing.assert_allclose(ours, expected[rows], rtol=1e-5)
    whole = gkl.loss(logits, Target(target, labels, weights), coefficients)
    np.testing.assert_allclose(whole, expected, rtol=1e-6)
    assert DIVERGENCES["ikl"].scale(weights, gamma) is None
    with pytest.raises(ValueError, match="the whole batch"):
        gkl.scale(None, gamma)


def test_running_statistics_are_those_of_the_first_part():
    def loss(params, part):
        mean = jnp.mean(part)
        return params * mean, Outcome({"mean": mean}, {"running": mean}, part[:, None])

    parts = Accumulation(count=4).split(jnp.arange(8.0))
    gradient, outcome = Accumulation(count=4).gradient(loss, jnp.array(1.0), parts)
    assert outcome.batch_stats == {"running": 0.5}
    assert outcome.metrics == {"mean": 3.5}
    assert gradient == 3.5
    np.testing.assert_array_equal(outcome.per_example[:, 0], jnp.arange(8.0))
