"""Ten steps of the whole IKL-AT step beside those of an independent reference.

`trajectory_reference.py` computed them in PyTorch from the published description. Here
the recipe itself takes the same steps, from the same weights, images and noise: the
attack, weight perturbation, both forwards with BatchNorm's updates, SGD, the cosine,
the epsilon's ramp, the class means and the average over epochs, through three epochs.

All of it is in float64, where the two differ by rounding alone. In float32 there would
be nothing to compare: where a pixel's gradient is near zero, rounding chooses the sign
of its step. What is replaced for that: images become float64, and the start takes its
noise as given. No other part of the step is.

Two roundings are known. The average's decay is a float32, and the reference's moves of
the attack are stored as 16-bit shares of epsilon.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import ikl_jax
from configs import base
from ikl_jax import ClassMeans, models
from tests.conftest import GOLDEN, cases
from train.recipes import RECIPES, Task, optim, recipe
from train.recipes.attack import STARTS
from train.recipes.state import Weights

STEPS, STEPS_PER_EPOCH, EPOCHS = 10, 4, 3
CLASSES, SIDE = 5, 8
ATTACKS = {"c100": (1.0, 1.0), "c10": (0.0, 1.0)}  # alpha and beta
WIDE = {"float32": jnp.float64, "int32": jnp.int64}
CLOSE = dict(rtol=1e-9, atol=1e-10)  # a hundred times the rounding there is
TOLERANCE = {
    "moved": dict(atol=0.51 / 32767),
    "average": dict(rtol=1e-6, atol=1e-7),
}
# Settings that are each wrong in one place, and what differs first because of it.
WRONG = {
    "attack in training mode": (dict(batch_norm__attack="batch"), "moved in step 0"),
    "fewer attack steps": (dict(attack__steps=4), "moved in step 0"),
    "another attack loss": (dict(attack__beta=4.0), "moved in step 0"),
    "ramp over other epochs": (dict(attack__epsilon_ramp=2 / 3), "epsilon in step 0"),
    "alpha and beta swapped": (
        dict(loss__alpha=4.0, loss__beta=20.0),
        "loss in step 0",
    ),
    "means at another temperature": (
        dict(loss__weight_temperature=1.0),
        "class_total in step 0",
    ),
    "means that keep a share": (
        dict(loss__class_means_momentum=0.5),
        "class_mean in step 4",
    ),
    "natural images first": (
        dict(batch_norm__updates=("natural", "adversarial")),
        "statistics in step 0",
    ),
    "statistics of one pass": (
        dict(batch_norm__updates=("adversarial",)),
        "statistics in step 0",
    ),
    "decay of kernels only": (
        dict(optimizer__decay_vectors=False),
        "parameters in step 0",
    ),
    "nesterov": (dict(optimizer__nesterov=True), "parameters in step 0"),
    "cosine over the steps": (
        dict(optimizer__schedule="cosine"),
        "learning_rate in step 0",
    ),
    "perturbation from the start": (
        dict(awp__start_epoch=0),
        "cross_entropy in step 0",
    ),
    "decay before perturbation": (
        dict(awp__decay_perturbed=False),
        "parameters in step 4",
    ),
    "average that warms up": (dict(averaging__warmup=True), "average in step 7"),
}


@pytest.fixture(scope="module")
def golden():
    return dict(np.load(GOLDEN / "ikl_at_trajectory.npz"))


@pytest.fixture
def given(monkeypatch, x64):
    return replaced(monkeypatch)


def replaced(monkeypatch):
    """Images as they are, a start by `given.noise`, and `given.x_adv` of the attack."""

    class Given:
        noise = x_adv = None

    def start(config, x, key):
        return x + config.start_scale * Given.noise, None

    def attack(*args, **kwargs):
        Given.x_adv = pgd(*args, **kwargs)
        return Given.x_adv

    pgd = ikl_jax.attacks.pgd
    monkeypatch.setattr(ikl_jax.attacks, "pgd", attack)
    monkeypatch.setitem(STARTS, "gaussian", start)
    monkeypatch.setattr(recipe, "to_pixels", lambda image: image / 255.0)
    return Given


def published(attack, **changed):
    """The published settings, with few epochs; `changed` as `section__field`."""
    config = base.get_config()
    config.epochs = EPOCHS
    config.optimizer.update(
        dict(
            learning_rate=0.05, momentum=0.9, weight_decay=5e-4, decay_vectors=True,
            schedule="cosine_per_epoch",
        )
    )  # fmt: skip
    config.loss.update(dict(name="ikl", alpha=20.0, beta=4.0, weight_temperature=4.0))
    config.attack.update(
        dict(
            loss="ikl",
            epsilon=8 / 255,
            steps=5,
            relative_step_size=0.5,
            start="gaussian",
            start_scale=0.001,
            epsilon_ramp=1.0,
        )
    )
    config.attack.alpha, config.attack.beta = ATTACKS[attack]
    config.awp.update(dict(gamma=0.005, start_epoch=1, decay_perturbed=True))
    config.averaging.update(dict(every="epoch", decay=0.9, warmup=False))
    for field, value in changed.items():
        section, _, key = field.partition("__")
        config[section][key] = value
    return config


def start_of(recipe_, model, golden, dtype):
    """The recipe's own state with the stored weights."""
    weights = {
        name.removeprefix("start/"): value
        for name, value in golden.items()
        if name.startswith("start/")
    }
    variables = models.from_torch(model, weights)
    state = jax.jit(recipe_.init)(jax.random.key(0)).replace(
        **variables, averaged=Weights(**variables)
    )
    means = ClassMeans.create(CLASSES, dtype)
    if dtype == jnp.float64:
        state = jax.tree.map(widened, state)
    return state.replace(class_means=means)


def widened(leaf):
    """The steps' number too: of an int32, JAX makes a float32 learning rate."""
    return leaf.astype(WIDE[leaf.dtype.name]) if leaf.dtype.name in WIDE else leaf


def steps(config, golden, given, dtype=jnp.float64):
    """Yields what the reference records, after each step."""
    model = models.create("wide_resnet_10_1", CLASSES, dtype=dtype)
    task = Task(config, model, CLASSES, (SIDE, SIDE, 3), STEPS_PER_EPOCH)
    recipe_ = RECIPES["adversarial"].build(task)
    schedule = optim.schedule(
        config.optimizer, epochs=config.epochs, steps_per_epoch=STEPS_PER_EPOCH
    )

    @jax.jit
    def step(state, batch, noise):
        given.noise = noise
        return *recipe_.step(state, batch), given.x_adv

    state = start_of(recipe_, model, golden, dtype)
    end_epoch = jax.jit(recipe_.end_epoch)
    for i in range(STEPS):
        image = jnp.asarray(golden["images"][i])
        batch = {"image": image, "label": jnp.asarray(golden["labels"][i], jnp.int32)}
        before = state
        noise = jnp.asarray(golden["noise"][i], dtype)
        state, metrics, x_adv = step(state, batch, noise)
        record = {
            "learning_rate": schedule(before.step),
            "class_mean": before.class_means.weights_for(batch["label"]),
            "epsilon": metrics["epsilon"],
            "moved": (x_adv - image / 255.0) / metrics["epsilon"],
            "cross_entropy": metrics["cross_entropy"],
            "loss": metrics["loss"],
            "divergence": metrics["divergence"],
            **kept(model, state),
        }
        if (i + 1) % STEPS_PER_EPOCH == 0:
            state = end_epoch(state)
            record["average"] = fingerprints(torch_named(model, state.averaged))
        yield record


def kept(model, state):
    """What goes on to the next step, in torch's layout."""
    trace = optax.tree_utils.tree_get(state.opt_state, "trace")
    weights = torch_named(model, state.weights)
    return {
        "class_total": state.class_means.total,
        "statistics": {name: v for name, v in weights.items() if "running" in name},
        "parameters": fingerprints(torch_named(model, Weights(state.params, {}))),
        "momentum": fingerprints(torch_named(model, Weights(trace, {}))),
    }


def torch_named(model, weights):
    return models.to_torch(model, weights.variables)


def directions(shape):
    """As the reference has them."""
    index = np.arange(1, np.prod(shape) + 1, dtype=np.float64).reshape(shape)
    return np.cos(1.3 * index), np.cos(0.7 * index**1.1)


def fingerprints(values):
    """{name: norm and two projections}."""

    def fingerprint(value):
        projections = [np.sum(value * d) for d in directions(value.shape)]
        return np.array([np.linalg.norm(value), *projections])

    return {name: fingerprint(value) for name, value in values.items()}


def expected_steps(attack, golden):
    """The reference's records, as `steps` has them."""
    names = [name.removeprefix("start/") for name in golden if name.startswith("start")]
    parameters = [name for name in names if "running" not in name]
    statistics = [name for name in names if "running" in name]
    ends = np.cumsum([golden[f"start/{name}"].size for name in statistics])[:-1]
    record = {
        name.removeprefix(f"{attack}/"): value
        for name, value in golden.items()
        if name.startswith(f"{attack}/")
    }
    for i in range(STEPS):
        at = {name: value[i] for name, value in record.items() if len(value) == STEPS}
        at["moved"] = at["moved"] / 32767
        at["divergence"] = 4.0 * at.pop("soft_cross_entropy") + 20.0 * at.pop(
            "weighted_mse"
        )
        at["statistics"] = dict(
            zip(statistics, np.split(at["statistics"], ends), strict=True)
        )
        for name in ("parameters", "momentum"):
            at[name] = dict(zip(parameters, at[name], strict=True))
        if (i + 1) % STEPS_PER_EPOCH == 0:
            average = record["average"][i // STEPS_PER_EPOCH]
            at["average"] = dict(zip(record["average_names"], average, strict=True))
        yield at


def assert_same(ours, expected):
    """Step by step, and within a step in the order in which it computes."""
    for i, (at, reference) in enumerate(zip(ours, expected, strict=True)):
        assert at.keys() == reference.keys()
        for quantity, value in at.items():
            tolerance = CLOSE | TOLERANCE.get(quantity, {})
            where = f"{quantity} in step {i}"
            if not isinstance(value, dict):
                value, other = {"": value}, {"": reference[quantity]}
            else:
                other = reference[quantity]
                assert value.keys() == other.keys(), where
            for name, array in value.items():
                np.testing.assert_allclose(
                    array, other[name], **tolerance, err_msg=f"{where} {name}"
                )


@pytest.mark.long
@pytest.mark.parametrize("attack", cases(ATTACKS, quick=["c100"]))
def test_ten_steps_are_the_reference_s(attack, golden, given):
    ours = steps(published(attack), golden, given)
    assert_same(ours, expected_steps(attack, golden))


@pytest.mark.slow
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_setting_shows(wrong, golden, given):
    changed, first = WRONG[wrong]
    ours = steps(published("c100", **changed), golden, given)
    with pytest.raises(AssertionError, match=first):
        assert_same(ours, expected_steps("c100", golden))
