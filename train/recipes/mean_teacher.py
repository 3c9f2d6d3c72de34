"""Mean Teacher: the target is what the average of the student's weights predicts.

Reference: Tarvainen and Valpola, "Mean teachers are better role models", 2017,
https://arxiv.org/abs/1703.01780. The teacher is the run's average (`averaging`), of
parameters and of BatchNorm's statistics, and sees the weak view; it receives no
gradient.
"""

from collections.abc import Callable

import jax

from ikl_jax.types import Array, PyTree
from train.base.config import Config
from train.base.errors import UserError
from train.recipes import recipe, semi_supervised
from train.recipes.recipe import Model
from train.recipes.semi_supervised import Branches, Images, Passes, requirements
from train.recipes.semi_supervised.consistency import CONSISTENCIES
from train.recipes.state import TrainState, Weights


def _by_the_average(model: Model, weights: Weights, x: Array, _: Array) -> Array:
    """Logits with the averaged running statistics."""
    return recipe.evaluate_logits(model, weights, x)


def _by_the_batch(model: Model, weights: Weights, x: Array, key: Array) -> Array:
    """Logits with BatchNorm's statistics of the batch; the running ones stay."""
    keys = recipe.keys_of(model, jax.random.fold_in(key, TEACHER), len(x))
    return recipe.train_logits(model, weights, x, keys)[0]


TEACHER = 99  # its part of a step's key; the kinds of images are 0, 1 and so on
# `unlabelled.teacher_batch_norm`: the statistics by which the teacher normalises.
TEACHERS: dict[str, Callable[[Model, Weights, Array, Array], Array]] = {
    "running": _by_the_average,
    "batch": _by_the_batch,
}


def build(task: recipe.Task) -> recipe.BuiltRecipe:
    passes = Passes.of(task)
    teach = TEACHERS[task.config.unlabelled.teacher_batch_norm]

    def forward(params: PyTree, state: TrainState, images: Images) -> Branches:
        assert state.averaged is not None
        key = state.step_key()
        target = teach(task.model, state.averaged, images.weak, key)
        weights = Weights(params, state.batch_stats)
        shown = [images.labelled, images.strong]
        (labelled, strong), batch_stats = passes.logits(weights, shown, key)
        return Branches(labelled, jax.lax.stop_gradient(target), strong, batch_stats)

    return semi_supervised.build(task, forward)


def check(config: Config) -> None:
    """Raises `UserError` for values that Mean Teacher cannot use."""
    requirements.check(config)
    averaging, unlabelled = config.averaging, config.unlabelled
    if averaging.every != "step" or averaging.start_epoch:
        raise UserError(
            "recipe=mean_teacher has the average of every step as its teacher: "
            "averaging.every must be step and averaging.start_epoch 0, got "
            f"{averaging.every} and {averaging.start_epoch}"
        )
    if unlabelled.gradient != "strong":
        raise UserError(
            "unlabelled.gradient must be strong for recipe=mean_teacher, whose teacher "
            f"never receives gradient, got {unlabelled.gradient}"
        )


MEAN_TEACHER = recipe.Recipe(
    "mean_teacher",
    build,
    divergences=CONSISTENCIES,
    check=check,
    streams=requirements.streams,
)
