"""Ten steps of each recipe beside those of an independent reference in NumPy.

Both are in float64, so they differ by rounding alone; images are replaced by float64
ones. Loss, parameters, momentum's effect, BatchNorm's statistics, the average of both
and the class means are compared after every step, through three epochs.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax.models.batch_norm import BatchNorm
from tests.support.references import semi_supervised_reference as reference
from tests.support.semi_supervised import CLASSES, SHAPE, batch, built
from train.recipes.semi_supervised import branches

STEPS, HIDDEN = 10, 6
NAMES = {
    "W1": ("first", "kernel"), "b1": ("first", "bias"),
    "scale": ("norm", "scale"), "bias": ("norm", "bias"),
    "W2": ("last", "kernel"), "b2": ("last", "bias"),
}  # fmt: skip
OPTIMIZER = dict(
    optimizer__learning_rate=0.1, optimizer__momentum=0.9,
    optimizer__weight_decay=5e-4, loss__cross_entropy=1.0, epochs=4,
)  # fmt: skip
RUNS = {
    "fixmatch, ikl, both branches, class means": (
        "fixmatch",
        dict(loss__name="ikl", loss__weights="class_means", loss__alpha=3.0,
             loss__beta=0.5, loss__strength=2.0, unlabelled__gradient="both",
             unlabelled__threshold=0.65, unlabelled__target_temperature=0.5),
        dict(loss=reference.ikl, class_means=True, alpha=3.0, beta=0.5, strength=2.0,
             both=True, threshold=0.65, target_temperature=0.5),
    ),
    "fixmatch, ce, two passes": (
        "fixmatch",
        dict(loss__name="ce", unlabelled__passes="two", unlabelled__threshold=0.65),
        dict(loss=reference.hard_cross_entropy, two_passes=True, threshold=0.65),
    ),
    "mean teacher, mse, warm-up": (
        "mean_teacher",
        dict(loss__name="mse", loss__strength=8.0, unlabelled__warmup=0.5,
             unlabelled__target_temperature=0.25),
        dict(loss=reference.mse, mean_teacher=True, strength=8.0, rising=8.0,
             target_temperature=0.25),
    ),
    "mean teacher, ikl, two passes": (
        "mean_teacher",
        dict(loss__name="ikl", loss__alpha=3.0, unlabelled__passes="two",
             unlabelled__threshold=0.6),
        dict(loss=reference.ikl, mean_teacher=True, two_passes=True, alpha=3.0,
             threshold=0.6),
    ),
}  # fmt: skip
QUICK = ("fixmatch, ikl, both branches, class means", "mean teacher, mse, warm-up")
# Settings of the first and the third run that are each wrong in one place.
WRONG = {
    "one branch": (0, dict(unlabelled__gradient="strong")),
    "no sharpening": (0, dict(unlabelled__target_temperature=1.0)),
    "all images count": (0, dict(unlabelled__threshold=0.0)),
    "weights of the sample": (0, dict(loss__weights="sample")),
    "another pass": (0, dict(unlabelled__passes="two")),
    "no warm-up": (2, dict(unlabelled__warmup=0.0)),
    "the teacher's batch": (2, dict(unlabelled__teacher_batch_norm="batch")),
    "another decay": (2, dict(averaging__decay=0.5)),
}


class Small(nn.Module):
    """The reference's network."""

    @nn.compact
    def __call__(self, x, *, train=False):
        x = nn.Dense(HIDDEN, name="first", dtype=x.dtype)(x.reshape(len(x), -1))
        x = BatchNorm(dtype=x.dtype, name="norm")(x, train=train)
        return nn.Dense(CLASSES, name="last", dtype=x.dtype)(jnp.tanh(x))


@pytest.fixture
def wide(monkeypatch, x64):
    """Images in float64."""
    monkeypatch.setattr(branches, "to_pixels", lambda image: jnp.asarray(image) / 255.0)


def start():
    rng = np.random.default_rng(7)
    shapes = {
        "W1": (int(np.prod(SHAPE)), HIDDEN), "b1": (HIDDEN,), "scale": (HIDDEN,),
        "bias": (HIDDEN,), "W2": (HIDDEN, CLASSES), "b2": (CLASSES,),
    }  # fmt: skip
    scales = {"W1": 0.5, "W2": 1.0}
    drawn = {n: scales.get(n, 0.3) * rng.standard_normal(s) for n, s in shapes.items()}
    drawn["scale"] += 1
    return drawn, (rng.standard_normal(HIDDEN), 1 + rng.random(HIDDEN))


def as_variables(parameters, statistics):
    params = {"first": {}, "norm": {}, "last": {}}
    for name, (layer, field) in NAMES.items():
        params[layer][field] = jnp.asarray(parameters[name])
    mean, var = statistics
    return params, {"norm": {"mean": jnp.asarray(mean), "var": jnp.asarray(var)}}


def pixels(column):
    return np.asarray(column).reshape(len(column), -1) / 255.0


def check_same(state, run, metrics, value, step):
    close = dict(rtol=1e-6, atol=1e-9, err_msg=f"after step {step}")
    np.testing.assert_allclose(metrics["loss"], value, **close)
    for weights, (parameters, statistics) in (
        (state.weights, (run.p, run.running)), (state.averaged, run.teacher),
    ):  # fmt: skip
        for name, (layer, field) in NAMES.items():
            ours = weights.params[layer][field]
            np.testing.assert_allclose(ours, parameters[name], **close)
        for field, expected in zip(("mean", "var"), statistics, strict=True):
            np.testing.assert_allclose(
                weights.batch_stats["norm"][field], expected, **close
            )
    if state.class_means is not None:
        np.testing.assert_allclose(state.class_means.mean, run.means, **close)
        np.testing.assert_allclose(state.class_means.total, run.total, **close)


def check_trajectory(name, **changed):
    recipe_name, fields, settings = RUNS[name]
    recipe_ = built(recipe_name, Small(), **OPTIMIZER, **{**fields, **changed})
    parameters, statistics = start()
    run = reference.Run(
        parameters, statistics, reference.Settings(steps_per_epoch=4, **settings)
    )
    state = recipe_.init(jax.random.key(0))
    state = jax.tree.map(
        lambda x: x.astype(jnp.float64) if x.dtype == jnp.float32 else x, state
    )
    params, batch_stats = as_variables(parameters, statistics)
    average = state.averaged.replace(params=params, batch_stats=batch_stats)
    state = state.replace(params=params, batch_stats=batch_stats, averaged=average)
    if (means := state.class_means) is not None:  # a third as float64 has it
        state = state.replace(class_means=means.replace(mean=jnp.asarray(run.means)))
    step, masks = jax.jit(recipe_.step), []
    for number in range(STEPS):
        data = batch(number)
        state, metrics = step(state, data)
        images = (
            pixels(data[f"unlabelled_{view}"]) for view in ("image", "second_view")
        )
        value = run.step(pixels(data["image"]), np.asarray(data["label"]), *images)
        if (number + 1) % 4 == 0:
            state = recipe_.end_epoch(state)
        check_same(state, run, metrics, value, number)
        masks.append(np.asarray(metrics["mask"]).mean())
    return masks


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.long)
        for name in RUNS
    ],
)
def test_ten_steps_are_those_of_the_reference(wide, name):
    masks = check_trajectory(name)
    if "threshold" in RUNS[name][2]:  # some count, others do not
        assert 0.1 < np.mean(masks) < 0.9, masks


@pytest.mark.long
@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_noticed(wide, name):
    run, changed = WRONG[name]
    with pytest.raises(AssertionError, match="after step"):
        check_trajectory([*RUNS][run], **changed)
