"""The training steps: what moves, by how much, and what is left alone."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ikl_jax
import train.networks.model
from configs import base
from tests.conftest import case_rows, cases, small_images
from tests.support import reference
from train.devices import sharding
from train.recipes import RECIPES, Task, adversarial, divergences, recipe
from train.recipes.state import Weights

STEPS_PER_EPOCH = 3
MODEL = "cnn"
X = jnp.zeros((1, 12, 12, 1))


def make(model=MODEL, name="adversarial", mesh=None, **changed):
    config = base.get_config()
    config.recipe = name
    config.model.name = model
    config.loss.update(dict(alpha=2.0, beta=1.0))
    config.attack.update(dict(steps=2, epsilon=0.05, relative_step_size=0.5))
    config.optimizer.update(dict(schedule="constant", learning_rate=0.05))
    for field, value in changed.items():
        section, _, key = field.partition("__")
        if key:
            config[section][key] = value
        else:
            config[section] = value
    network = train.networks.model.create(config, 4)
    task = Task(config, network, 4, (12, 12, 1), STEPS_PER_EPOCH, mesh)
    return RECIPES[name](task), task


def batch(count=16, start=0):
    images, labels = small_images(channels=1)
    rows = slice(start, start + count)
    return {
        "image": jnp.asarray(images[rows]),
        "label": jnp.asarray(labels[rows].astype(np.int32)),
    }


def after(recipe_, steps=1):
    state = recipe_.init(jax.random.key(0))
    step = jax.jit(recipe_.step)
    for i in range(steps):
        state, metrics = step(state, batch(start=16 * i))
    return state, metrics


def assert_trees_close(ours, expected, **tolerance):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


def distance(ours, other):
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(other), strict=True)
    return float(sum(jnp.sum(jnp.abs(a - b)) for a, b in pairs))


@pytest.mark.parametrize(
    "name", cases(["adversarial", "supervised"], quick=["supervised"])
)
def test_the_loss_falls(name):
    recipe_, _ = make(name=name)
    state, step = recipe_.init(jax.random.key(0)), jax.jit(recipe_.step)
    losses = []
    for _ in range(60):
        state, metrics = step(state, batch(64))
        losses.append(float(metrics["loss"]))
    assert np.mean(losses[-5:]) < 0.8 * losses[0]
    assert metrics["natural_accuracy"] > 0.8


# An attack that draws nothing, on a network without BatchNorm: a row's loss is its own.
DETERMINED = dict(attack__loss="cross_entropy", attack__start="natural")


def with_second_view(first, second):
    return first | {"second_view": second["image"]}


@pytest.mark.parametrize("parts", [1, 2])
def test_a_second_view_adds_its_weighted_loss(parts):
    weight, settings = 0.3, dict(DETERMINED, accumulate=parts)
    first, second = batch(), batch(start=16)
    second = second | {"label": first["label"]}
    alone = make(**DETERMINED)[0]
    both = make(**settings, loss__second_view_weight=weight)[0]
    state = alone.init(jax.random.key(0))
    one, metrics = jax.jit(alone.step)(state, first)
    _, seconds = jax.jit(alone.step)(state, second)
    new, together = jax.jit(both.step)(state, with_second_view(first, second))
    for name in ("loss", "cross_entropy", "divergence"):
        expected = metrics[name] + weight * seconds[name]
        np.testing.assert_allclose(together[name], expected, rtol=1e-5)
    for name in ("natural_accuracy", "robust_accuracy"):
        np.testing.assert_allclose(together[name], metrics[name], rtol=1e-6)
    assert_trees_close(new.class_means, one.class_means, atol=1e-5)
    assert distance(new.params, one.params) > 0.1


@pytest.mark.long
def test_groups_of_the_batch_are_of_one_kind_of_view():
    first, second = batch(), batch(start=16) | {"label": batch()["label"]}
    settings = dict(
        DETERMINED, model="wide_resnet_10_1", batch_norm__updates=("natural",)
    )
    alone, both = (make(**settings, model__bn_groups=groups)[0] for groups in (1, 2))
    state = alone.init(jax.random.key(0))
    firsts, seconds = (
        jax.jit(alone.step)(state, view)[0].batch_stats for view in (first, second)
    )
    new = jax.jit(both.step)(state, with_second_view(first, second))[0].batch_stats
    assert_trees_close(new, firsts, atol=1e-5)
    assert distance(firsts, seconds) > 1e-2


def test_the_weight_perturbation_weighs_views_as_it_is_told():
    first, second = batch(), batch(start=16) | {"label": batch()["label"]}
    settings = dict(DETERMINED, awp__gamma=0.1, loss__second_view_weight=0.0)
    views = with_second_view(first, second)
    params = {}
    for weight in (0.0, 1.0):
        recipe_ = make(**settings, awp__second_view_weight=weight)[0]
        state = recipe_.init(jax.random.key(0))
        params[weight] = jax.jit(recipe_.step)(state, views)[0].params
    alone = make(**DETERMINED, awp__gamma=0.1)[0]
    expected = jax.jit(alone.step)(state, first)[0].params
    assert_trees_close(params[0.0], expected, atol=2e-6)
    assert distance(params[1.0], expected) > 1e-3


def test_the_attack_takes_one_step_more_in_each_share_of_the_epochs():
    growing, one, two = (
        make(epochs=4, attack__first_steps=first, attack__steps=steps)[0]
        for first, steps in ((1, 2), (0, 1), (0, 2))
    )
    state = growing.init(jax.random.key(0))
    for epoch, expected in ((0, one), (1, one), (2, two), (3, two)):
        at = state.replace(step=jnp.asarray(epoch * STEPS_PER_EPOCH, jnp.int32))
        ours = jax.jit(growing.step)(at, batch())[0].params
        assert_trees_close(
            ours, jax.jit(expected.step)(at, batch())[0].params, atol=1e-6
        )
    assert distance(ours, jax.jit(one.step)(at, batch())[0].params) > 1e-3


def test_class_wise_dkl_is_ikl_but_for_the_adversarial_squared_error():
    """And DKL itself, where the weights are the sample's own."""
    config = base.get_config().loss
    config.alpha, config.beta = 20.0, 4.0
    rng = np.random.default_rng(0)
    adversarial, natural = (jnp.asarray(rng.normal(size=(6, 4))) for _ in range(2))
    weights = jax.nn.softmax(jnp.asarray(rng.normal(size=(6, 4))))

    def gradients(name, weights):
        divergence = divergences.create(name, config)
        total = lambda a, n: jnp.sum(divergence(a, n, weights))
        return jax.grad(total, argnums=(0, 1))(adversarial, natural)

    ours, theirs = gradients("class_wise_dkl", weights), gradients("ikl", weights)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-5)
    of_soft_labels = config.beta * (
        jax.nn.softmax(adversarial) - jax.nn.softmax(natural)
    )
    np.testing.assert_allclose(ours[0], of_soft_labels, rtol=1e-4, atol=1e-5)
    assert jnp.abs(theirs[0] - ours[0]).max() > 0.1
    own = gradients("class_wise_dkl", jax.nn.softmax(natural))
    for class_wise, expected in zip(own, gradients("dkl", None), strict=True):
        np.testing.assert_allclose(class_wise, expected, rtol=1e-4, atol=1e-5)
    config.name, config.weights = "class_wise_dkl", "sample"
    assert divergences.uses_class_means(config)


@pytest.mark.slow
def test_bfloat16_learns_and_what_is_kept_stays_float32():
    losses = {}
    for dtype in ("float32", "bfloat16"):
        recipe_, _ = make(name="supervised", model__dtype=dtype)
        state, step = recipe_.init(jax.random.key(0)), jax.jit(recipe_.step)
        trail = [step(state, batch(64))[1]["loss"]]
        for _ in range(60):
            state, metrics = step(state, batch(64))
        losses[dtype] = float(trail[0]), float(metrics["loss"])
    np.testing.assert_allclose(losses["bfloat16"][0], losses["float32"][0], rtol=0.01)
    assert losses["bfloat16"][1] < 0.8 * losses["bfloat16"][0]

    recipe_, task = make(model="wide_resnet_10_1", model__dtype="bfloat16")
    state = jax.eval_shape(recipe_.init, jax.random.key(0))
    after_one, metrics = jax.eval_shape(recipe_.step, state, batch())
    kept = jax.tree.leaves((after_one.replace(key=None, step=None), metrics))
    assert {str(leaf.dtype) for leaf in kept} <= {"float32", "int32"}
    program = str(jax.make_jaxpr(task.model.apply)(state.weights.variables, X))
    assert "bf16" in program


def test_training_by_dkl_is_training_by_kl():
    runs = {
        name: after(make(loss__name=name, loss__alpha=1.0, attack__loss="kl")[0], 3)
        for name in ("kl", "dkl")
    }
    kl, dkl = (runs[name][0] for name in ("kl", "dkl"))
    assert_trees_close(dkl.params, kl.params, atol=2e-6)
    start = make()[0].init(jax.random.key(0))
    assert distance(kl.params, start.params) > 1.0
    assert abs(runs["kl"][1]["divergence"] - runs["dkl"][1]["divergence"]) > 1e-4


@pytest.mark.parametrize("loss", ["kl", "dkl", "ikl", "gkl"])
def test_metrics_are_the_terms_of_the_loss(loss):
    recipe_, _ = make(loss__name=loss, loss__strength=3.0)
    _, metrics = after(recipe_)
    total = metrics["cross_entropy"] + 3.0 * metrics["divergence"]
    np.testing.assert_allclose(metrics["loss"], total, rtol=1e-6)


def test_strength_zero_is_natural_training():
    plain, _ = after(make(name="supervised")[0], 2)
    without, _ = after(make(loss__strength=0.0)[0], 2)
    assert_trees_close(without.params, plain.params, atol=1e-6)


def test_class_means_gather_natural_predictions_at_their_temperature():
    recipe_, task = make(loss__weight_temperature=2.0, model="wide_resnet_10_1")
    state, _ = after(recipe_)
    start = recipe_.init(jax.random.key(0))
    data = batch()
    logits, _ = recipe.train_logits(
        task.model, start.weights, recipe.to_pixels(data["image"])
    )
    predictions = reference.softmax(np.asarray(logits, np.float64) / 2.0)
    expected = np.stack(
        [predictions[np.asarray(data["label"]) == c].sum(0) for c in range(4)]
    )
    np.testing.assert_allclose(state.class_means.total, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(state.class_means.mean, 0.25)
    ended = recipe_.end_epoch(state)
    np.testing.assert_allclose(ended.class_means.mean.sum(1), 1.0, rtol=1e-5)
    assert not np.any(ended.class_means.count)


@pytest.mark.parametrize(
    ("loss", "weights", "kept"),
    [
        ("ikl", "class_means", True),
        ("gkl", "class_means", True),
        ("ikl", "sample", False),
        ("kl", "class_means", False),
        ("dkl", "class_means", False),
    ],
)
def test_class_means_are_kept_where_a_loss_needs_them(loss, weights, kept):
    state, _ = after(make(loss__name=loss, loss__weights=weights)[0])
    assert (state.class_means is not None) == kept


def test_awp_waits_for_its_epoch_and_then_changes_the_step():
    plain, _ = after(make()[0], 2)
    waiting, _ = after(make(awp__gamma=0.01, awp__start_epoch=1)[0], 2)
    assert_trees_close(waiting.params, plain.params, atol=1e-6)
    at_once, _ = after(make(awp__gamma=0.01)[0], 2)
    assert distance(at_once.params, plain.params) > 1e-3


@pytest.mark.long
def test_awp_takes_the_gradient_elsewhere_but_moves_the_weights_themselves():
    """One step by hand: attack, perturb, differentiate there, apply here."""
    recipe_, task = make(awp__gamma=0.02, attack__steps=0, optimizer__weight_decay=0.0)
    start = recipe_.init(jax.random.key(0))
    state, _ = jax.jit(recipe_.step)(start, batch())
    x, labels = recipe.to_pixels(batch()["image"]), batch()["label"]
    x_adv, _ = adversarial.STARTS["gaussian"](task.config.attack, x, start.step_key())
    x_adv = jnp.clip(x_adv, 0, 1)

    def loss(params):
        natural, adv = (
            recipe.evaluate_logits(task.model, Weights(params, {}), v)
            for v in (x, x_adv)
        )
        one_hot = jax.nn.one_hot(labels, 4)
        cross_entropy = -jnp.sum(one_hot * jax.nn.log_softmax(natural), -1)
        weights = jnp.full_like(natural, 0.25)
        return jnp.mean(
            cross_entropy + ikl_jax.ikl_loss(adv, natural, weights, alpha=2.0, beta=1.0)
        )

    moved = ikl_jax.awp.perturb(start.params, jax.grad(loss)(start.params), 0.02)
    expected = jax.tree.map(
        lambda p, g: p - 0.05 * g, start.params, jax.grad(loss)(moved)
    )
    assert_trees_close(state.params, expected, atol=1e-6)


def test_weight_decay_at_the_perturbed_weights_is_a_choice():
    numbers = dict(awp__gamma=0.05, optimizer__weight_decay=0.1)
    here, _ = after(make(**numbers)[0])
    there, _ = after(make(awp__decay_perturbed=True, **numbers)[0])
    start = make(**numbers)[0].init(jax.random.key(0))
    apart = distance(here.params, there.params)
    assert 0 < apart < 0.1 * distance(here.params, start.params)


def test_the_ramp_reaches_epsilon():
    shares = [float(recipe.ramp(jnp.asarray(epoch), 4)) for epoch in range(6)]
    np.testing.assert_allclose(shares, [0.25, 0.5, 0.75, 1, 1, 1], rtol=1e-6)
    assert recipe.ramp(jnp.asarray(0), 0) == 1
    numbers = dict(attack__epsilon=0.4, attack__relative_step_size=0.25)
    ramped, _ = make(epochs=8, attack__epsilon_ramp=0.5, **numbers)
    start = ramped.init(jax.random.key(0))
    for epoch, epsilon in ((0, 0.1), (1, 0.2), (5, 0.4)):
        state = start.replace(step=jnp.int32(epoch * STEPS_PER_EPOCH))
        _, metrics = jax.jit(ramped.step)(state, batch())
        np.testing.assert_allclose(metrics["epsilon"], epsilon, rtol=1e-6)


@pytest.mark.long
def test_which_passes_update_the_running_statistics():
    stats = {
        updates: after(
            make(model="wide_resnet_10_1", batch_norm__updates=updates)[0]
        )[0].batch_stats
        for updates in (
            ("adversarial", "natural"), ("natural", "adversarial"), ("natural",), (),
        )
    }  # fmt: skip
    start = make(model="wide_resnet_10_1")[0].init(jax.random.key(0)).batch_stats
    assert distance(stats[()], start) == 0.0
    seen = list(stats.values())
    for i in range(len(seen)):
        for j in range(i):
            assert distance(seen[i], seen[j]) > 0.0


def test_statistics_of_the_attack_are_a_choice_and_never_kept():
    states = [
        after(
            make(
                model="wide_resnet_10_1",
                batch_norm__attack=mode,
                batch_norm__updates=(),
            )[0],
            2,
        )[0]
        for mode in ("running", "batch")
    ]
    assert distance(states[0].batch_stats, states[1].batch_stats) == 0.0
    assert distance(states[0].params, states[1].params) > 1e-4


OBJECTIVES = [
    ("cross_entropy", "natural"),
    *itertools.product(
        ("cross_entropy", "kl", "dkl", "ikl", "gkl"), ("gaussian", "uniform")
    ),
]
QUICK = [("cross_entropy", "natural"), ("kl", "gaussian"), ("gkl", "uniform")]


@pytest.mark.parametrize(("loss", "start"), case_rows(OBJECTIVES, quick=QUICK))
def test_every_attack_objective_and_start(loss, start):
    scores = {}
    for steps in (0, 5):
        changed = dict(attack__loss=loss, attack__start=start, attack__steps=steps)
        _, metrics = after(make(loss__name="kl", attack__epsilon=0.1, **changed)[0])
        scores[steps] = float(metrics["divergence"])
    assert scores[5] > max(1.5 * scores[0], 1e-4)


def test_l2_attacks_train_too():
    _, metrics = after(make(attack__norm="l2", attack__epsilon=0.5)[0], 2)
    assert np.isfinite(metrics["loss"])


def averaged_after(recipe_, steps):
    """The averages that a run of `steps` leaves, and the weights it passed through."""
    state, step = recipe_.init(jax.random.key(0)), jax.jit(recipe_.step)
    trail = []
    for i in range(steps):
        state, _ = step(state, batch(start=i))
        if (i + 1) % STEPS_PER_EPOCH == 0:
            state = recipe_.end_epoch(state)
        trail.append(state.weights)
    return state.averaged, trail


def mix(decay, average, new):
    return jax.tree.map(lambda a, b: decay * a + (1 - decay) * b, average, new)


def test_averaging_per_step_with_warmup_includes_batch_norm():
    recipe_, _ = make(
        model="wide_resnet_10_1", averaging__every="step", averaging__decay=0.25
    )
    averaged, trail = averaged_after(recipe_, 4)
    expected = trail[0]
    for n in range(1, 4):
        expected = mix(min(0.25, (1 + n) / (10 + n)), expected, trail[n])
    assert_trees_close(averaged, expected, atol=1e-5)
    assert jax.tree.leaves(averaged.batch_stats)


def test_averaging_per_epoch_from_an_epoch_on():
    recipe_, _ = make(
        averaging__every="epoch", averaging__decay=0.9, averaging__warmup=False,
        averaging__start_epoch=1,
    )  # fmt: skip
    averaged, trail = averaged_after(recipe_, 11)
    ends = trail[2::STEPS_PER_EPOCH]  # epochs 0, 1, 2; the last is not finished
    assert_trees_close(averaged, mix(0.9, ends[1], ends[2]), atol=1e-6)


def test_batch_norm_may_be_copied_instead_of_averaged():
    recipe_, _ = make(
        model="wide_resnet_10_1",
        averaging__every="step",
        averaging__batch_norm="copied",
    )
    averaged, trail = averaged_after(recipe_, 3)
    assert_trees_close(averaged.batch_stats, trail[-1].batch_stats, rtol=0)
    assert distance(averaged.params, trail[-1].params) > 1e-3


def test_label_smoothing_mixes_in_every_class():
    logits, labels = jax.random.normal(jax.random.key(0), (5, 4)), jnp.arange(5) % 4
    log_probabilities = np.asarray(jax.nn.log_softmax(logits))
    plain = -log_probabilities[np.arange(5), labels].mean()
    smooth = recipe.cross_entropy(logits, labels, 4, 0.1)
    expected = 0.9 * plain - 0.1 * log_probabilities.mean()
    np.testing.assert_allclose(smooth, expected, rtol=1e-5)
    np.testing.assert_allclose(
        recipe.cross_entropy(logits, labels, 4, 0.0), plain, rtol=1e-6
    )


def test_no_averaging_keeps_no_copy():
    averaged, _ = averaged_after(make()[0], 1)
    assert averaged is None


@pytest.mark.long
def test_results_do_not_depend_on_the_number_of_devices():
    from jax.sharding import AxisType, NamedSharding, PartitionSpec

    # An attack whose steps are continuous and well-conditioned: signs of gradients near
    # zero, or directions of a divergence near its minimum, turn another order of
    # summation into another adversarial example.
    recipe_, _ = make(
        model="wide_resnet_10_1",
        awp__gamma=0.005,
        attack__norm="l2",
        attack__loss="cross_entropy",
        attack__epsilon=0.5,
    )
    expected, _ = after(recipe_)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    data = jax.device_put(batch(), NamedSharding(mesh, PartitionSpec("data")))
    state = jax.device_put(
        recipe_.init(jax.random.key(0)), NamedSharding(mesh, PartitionSpec())
    )
    sharded, _ = jax.jit(recipe_.step)(state, data)
    assert_trees_close(sharded.params, expected.params, atol=1e-4)
    assert_trees_close(sharded.batch_stats, expected.batch_stats, atol=1e-5)
    assert_trees_close(sharded.class_means, expected.class_means, atol=1e-5)


def test_dividing_the_state_changes_no_step():
    calm = dict(norm="l2", loss="cross_entropy", epsilon=0.5)
    changed = {f"attack__{name}": value for name, value in calm.items()}
    recipe_, task = make(awp__gamma=0.005, **changed)
    expected, _ = after(recipe_)
    mesh = sharding.create_mesh((4, 2))
    model = sharding.GatheredModel(task.model, mesh, task.num_classes)
    divided = RECIPES["adversarial"](dataclasses.replace(task, model=model))
    state = divided.init(jax.random.key(0))
    places = sharding.state_shardings(mesh, state, num_classes=4, fsdp=True)
    data = jax.device_put(batch(), sharding.over_batch(mesh))
    step = jax.jit(divided.step, out_shardings=(places, sharding.replicated(mesh)))
    ours, _ = step(jax.device_put(state, places), data)
    assert any("data" in leaf.sharding.spec for leaf in jax.tree.leaves(ours.params))
    assert_trees_close(ours.params, expected.params, atol=1e-5)
    assert_trees_close(ours.class_means, expected.class_means, atol=1e-5)
