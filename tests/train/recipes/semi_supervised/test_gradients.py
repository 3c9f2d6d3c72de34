"""Which branch the gradient of the consistency reaches, for every consistency.

The network is linear and without a bias, and each kind of image is lit in a channel of
its own: so the weights of a channel move if and only if the gradient reaches the branch
of that kind of image.
"""

import jax
import numpy as np
import pytest

from tests.conftest import case_rows
from tests.support.semi_supervised import batch, built, moved
from train.recipes.semi_supervised.consistency import CONSISTENCIES

MOVING = [name for name, known in CONSISTENCIES.items() if known.moves_target]


def weights_of(name):
    """Every source of weights that a consistency can have."""
    return ["class_means", "sample"] if CONSISTENCIES[name].weights == "chosen" else (
        ["sample"]
    )  # fmt: skip


CASES = [(name, weights) for name in CONSISTENCIES for weights in weights_of(name)]


def stepped(recipe_, **changed):
    """The states before and after a step that is not the first."""
    state = recipe_.init(jax.random.key(0)).replace(step=5)
    new, metrics = recipe_.step(state, batch(apart=True))
    return state, new, metrics


@pytest.mark.parametrize(
    ("name", "weights"),
    case_rows(
        CASES, quick=[("ce", "sample"), ("ikl", "class_means")], mark=pytest.mark.long
    ),
)
def test_fixmatch_moves_the_strong_branch_alone(name, weights):
    recipe_ = built("fixmatch", loss__name=name, loss__weights=weights)
    before, after, metrics = stepped(recipe_)
    labelled, weak, strong = moved(before, after)
    assert metrics["consistency"] > 1e-4
    assert strong > 1e-3
    assert labelled == weak == 0


@pytest.mark.parametrize(
    ("name", "weights"), [case for case in CASES if case[0] in MOVING]
)
def test_fixmatch_moves_both_branches_where_neither_is_stopped(name, weights):
    recipe_ = built(
        "fixmatch", loss__name=name, loss__weights=weights, unlabelled__gradient="both"
    )
    before, after, _ = stepped(recipe_)
    labelled, weak, strong = moved(before, after)
    assert min(weak, strong) > 1e-3
    assert labelled == 0


@pytest.mark.parametrize(("name", "weights"), CASES)
def test_mean_teacher_moves_the_student_alone(name, weights):
    """Its teacher sees the weak view, and follows the student as an average alone."""
    recipe_ = built("mean_teacher", loss__name=name, loss__weights=weights)
    before, after, metrics = stepped(recipe_)
    labelled, weak, strong = moved(before, after)
    assert metrics["consistency"] > 1e-4
    assert strong > 1e-3
    assert labelled == weak == 0
    teacher = jax.tree.map(
        lambda old, new: 0.75 * old + 0.25 * new, before.averaged, after.weights
    )
    for ours, expected in zip(
        jax.tree.leaves(after.averaged), jax.tree.leaves(teacher), strict=True
    ):
        np.testing.assert_allclose(ours, expected, atol=1e-6)


@pytest.mark.parametrize("recipe_name", ["fixmatch", "mean_teacher"])
def test_the_supervised_loss_moves_the_labelled_branch_alone(recipe_name):
    recipe_ = built(
        recipe_name, loss__name="ikl", loss__cross_entropy=1.0, loss__strength=0.0
    )
    before, after, _ = stepped(recipe_)
    labelled, weak, strong = moved(before, after)
    assert labelled > 1e-3
    assert weak == strong == 0


@pytest.mark.parametrize("recipe_name", ["fixmatch", "mean_teacher"])
def test_nothing_moves_below_the_threshold(recipe_name):
    recipe_ = built(recipe_name, loss__name="ikl", unlabelled__threshold=1.0)
    before, after, metrics = stepped(recipe_)
    assert not moved(before, after).any()
    assert metrics["consistency"] == 0
    assert not metrics["mask"].any()


def test_the_threshold_is_of_the_target_without_its_temperature():
    """Sharpened targets are surer, but no more of them count."""
    shares = [
        built("fixmatch", loss__name="soft_ce", unlabelled__threshold=0.5,
              unlabelled__target_temperature=temperature)
        for temperature in (1.0, 0.1)
    ]  # fmt: skip
    plain, sharp = (np.asarray(stepped(recipe_)[2]["mask"]) for recipe_ in shares)
    np.testing.assert_array_equal(plain, sharp)
    assert 0 < plain.mean() < 1


@pytest.mark.parametrize(("warmup", "weight"), [(0.0, 3.0), (0.5, 1.5), (1.0, 0.75)])
def test_the_weight_grows_over_a_share_of_the_steps(warmup, weight):
    """Of 20 steps, 5 are done."""
    recipe_ = built(
        "fixmatch", loss__name="ikl", loss__strength=3.0, unlabelled__warmup=warmup,
        epochs=5,
    )  # fmt: skip
    _, _, metrics = stepped(recipe_)
    assert metrics["consistency_weight"] == pytest.approx(weight)
    np.testing.assert_allclose(
        metrics["loss"], weight * metrics["consistency"], rtol=1e-6
    )
