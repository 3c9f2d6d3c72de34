"""Distillation in a task: over the old classes alone, against float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from tests.conftest import case_rows
from tests.support.recipes import batch, make
from tests.support.references.reference import softmax
from train.networks import classes
from train.networks import model as network
from train.recipes import distillation, recipe
from train.recipes.distillation import TaughtExamples

# Four classes: 0 and 2 were seen before, 1 is new, 3 comes later.
SPLITS, OLD, SEEN = ((0, 2), (1,), (3,)), np.array([0, 2]), np.array([0, 1, 2])
ALPHA, BETA, GAMMA, TEMPERATURE, WEIGHT_TEMPERATURE = 2.0, 0.7, 0.6, 3.0, 1.5
LOSSES = ("kd", "ikl", "gkl")


def gradient(name, n, m):
    """To the student's logits `[B, D]` of the old classes, one pair at a time."""
    q, p = softmax(n / TEMPERATURE), softmax(m / TEMPERATURE)
    if name == "kd":
        return TEMPERATURE * (q - p) / len(n)
    w = softmax(m / WEIGHT_TEMPERATURE)
    if name == "gkl":
        w = w**GAMMA
        w = w / np.sqrt(np.mean(w.sum(-1) ** 2))
    squared = np.zeros_like(n)
    for b, (row, d) in enumerate(zip(w, n - m, strict=True)):
        for j in range(len(row)):
            for k in range(len(row)):
                squared[b, j] += row[j] * row[k] * (d[j] - d[k])
    return (ALPHA * squared + BETA / TEMPERATURE * (q - p)) / len(n)


def fields(name, **changed):
    return dict(
        name=name, alpha=ALPHA, beta=BETA, gamma=GAMMA, temperature=TEMPERATURE,
        weight_temperature=WEIGHT_TEMPERATURE, weights="sample",
    ) | changed  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_of_the_distillation_term(x64, name):
    loss = base.get_config().loss
    loss.update(fields(name))
    rng = np.random.default_rng(0)
    n, m = rng.normal(size=(2, 8, 6)) * 3
    old, labels = np.array([1, 3, 4]), rng.integers(0, 6, 8)
    unknown = np.setdiff1d(np.arange(6), old)
    m[:, unknown] = classes.PADDING_LOGIT  # as the model of the task before gives them
    example = {"teacher_logits": jnp.asarray(m), "label": jnp.asarray(labels)}
    weights = distillation.target_weights(loss, None, example, old)

    def mean(n, m):
        part = TaughtExamples(jnp.zeros(()), jnp.asarray(labels), m, weights)
        return distillation.divergence_from(loss, n, part, among=old).mean()

    to_student, to_teacher = jax.grad(mean, (0, 1))(jnp.asarray(n), jnp.asarray(m))
    np.testing.assert_allclose(
        to_student[:, old], gradient(name, n[:, old], m[:, old]), rtol=1e-9, atol=1e-12
    )
    assert not np.any(to_student[:, unknown])
    assert not np.any(to_teacher)


def in_task(name, task=2, **changed):
    loss = {f"loss__{field}": value for field, value in fields(name).items()}
    given = dict(
        continual__splits=SPLITS, continual__task=task,
        optimizer__momentum=0.0, optimizer__weight_decay=0.0,
    )  # fmt: skip
    return make(name="distillation", **loss | given | changed)


def taught(seed=0):
    """A batch whose teacher knows the old classes."""
    logits = 3 * np.random.default_rng(seed).normal(size=(16, 4))
    logits[:, [1, 3]] = classes.PADDING_LOGIT
    return batch() | {"teacher_logits": jnp.asarray(logits, jnp.float32)}


@pytest.mark.parametrize(
    "name", case_rows([(n,) for n in LOSSES], quick=[("ikl",)], mark=pytest.mark.long)
)
def test_a_step_moves_the_classifiers_bias_by_the_gradient(name):
    """Cross-entropy over all classes seen, distillation over the old ones."""
    built, task = in_task(name, loss__strength=0.4, loss__cross_entropy=0.9)
    state, data = jax.jit(built.init)(jax.random.key(0)), taught()
    data["label"] = data["label"] % 3  # the batch's classes are seen ones
    x = recipe.to_pixels(data["image"])
    logits, _ = jax.jit(recipe.train_logits, static_argnums=0)(
        task.model, state.weights, x
    )
    assert np.all(np.asarray(logits[:, 3]) == classes.PADDING_LOGIT)
    n, m = (np.asarray(each, np.float64) for each in (logits, data["teacher_logits"]))
    expected = np.zeros((16, 4))
    onehot = np.eye(4)[np.asarray(data["label"])]
    expected[:, SEEN] += 0.9 * (softmax(n[:, SEEN]) - onehot[:, SEEN]) / 16
    expected[:, OLD] += 0.4 * gradient(name, n[:, OLD], m[:, OLD])
    after, metrics = jax.jit(built.step)(state, data)
    (name,) = network.classifier_layer(task.model)
    before, after = state.params[name], after.params[name]
    moved = before["bias"] - after["bias"]
    rate = task.config.optimizer.learning_rate
    np.testing.assert_allclose(moved / rate, expected.sum(0), rtol=1e-3, atol=1e-5)
    assert not np.any((before["kernel"] - after["kernel"])[:, 3])
    assert np.isfinite(metrics["loss"])


@pytest.mark.long
@pytest.mark.parametrize("name", ["ikl", "gkl"])
def test_a_batch_in_parts_makes_the_step_of_the_whole(name):
    steps = []
    for count in (1, 4):
        built, _ = in_task(name, accumulate=count)
        steps.append(built.step(built.init(jax.random.key(0)), taught())[0].params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), *steps)


def test_class_means_are_of_the_old_classes_for_every_label():
    """A new class's row says with which old classes the teacher confuses it."""
    built, task = in_task("ikl", loss__weights="class_means")
    state, data = jax.jit(built.init)(jax.random.key(0)), taught()
    start = np.asarray(state.class_means.mean)
    np.testing.assert_allclose(start[:, OLD], 0.5)
    assert not np.any(start[:, [1, 3]])
    weights = distillation.target_weights(
        task.config.loss, state.class_means, data, OLD
    )
    np.testing.assert_allclose(weights.sum(-1), 1.0)
    state, _ = jax.jit(built.step)(state, data)
    rows = np.asarray(built.end_epoch(state).class_means.mean)
    label = np.asarray(data["label"])
    m = np.asarray(data["teacher_logits"], np.float64)[:, OLD]
    for each in np.unique(label):
        expected = softmax(m[label == each] / WEIGHT_TEMPERATURE).mean(0)
        np.testing.assert_allclose(rows[each, OLD], expected, atol=1e-6)
        assert not np.any(rows[each, [1, 3]])


def test_a_run_without_tasks_compares_all_classes():
    _, task = make(name="distillation", loss__name="kd")
    assert task.taught_classes == (0, 1, 2, 3)
    assert not isinstance(task.model, classes.SeenClasses)
    assert isinstance(in_task("kd")[1].model, classes.SeenClasses)
    # The last task's network is a plain one: all classes are seen.
    assert not isinstance(in_task("kd", task=3)[1].model, classes.SeenClasses)


def test_cross_entropy_over_the_classes_of_the_labels_task():
    """Against NumPy; images of old classes compete with old ones."""
    logits = np.random.default_rng(0).normal(size=(9, 4)) * 2
    labels = np.array([0, 1, 2] * 3)
    expected = {"seen": 0.0, "task": 0.0}
    for row, label in zip(logits, labels, strict=True):
        among = {"seen": SEEN, "task": next(s for s in SPLITS if label in s)}
        for over, columns in among.items():
            total = np.log(np.exp(row[list(columns)]).sum())
            expected[over] += (total - row[label]) / len(labels)
    logits[:, 3] = classes.PADDING_LOGIT
    for over, value in expected.items():
        _, task = in_task("kd", continual__cross_entropy=over)
        ours = task.cross_entropy(jnp.asarray(logits, jnp.float32), labels)
        assert ours == pytest.approx(value, rel=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("name", ["distillation", "supervised"])
@pytest.mark.parametrize("over", ["seen", "task"])
def test_both_recipes_have_this_cross_entropy(name, over):
    built, _ = make(
        name=name, continual__splits=SPLITS, continual__task=2,
        continual__cross_entropy=over,
    )  # fmt: skip
    state, data = jax.jit(built.init)(jax.random.key(0)), taught()
    data["label"] = jnp.ones(16, int)  # the new class is alone in its task
    _, metrics = jax.jit(built.step)(state, data)
    found = metrics.get("cross_entropy", metrics["loss"])
    assert (found < 1e-6) == (over == "task")
