"""FixMatch: a confident prediction of the weak view is the target of the strong view.

Reference: Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency
and Confidence", https://arxiv.org/abs/2001.07685, 2020.

The published recipe with IKL does not stop the weak view (`unlabelled.gradient=both`),
so that the squared error trains it too; here its weights are stopped all the same.
"""

from collections.abc import Callable

import jax

from ikl_jax.types import Array, PyTree
from train.recipes import recipe, semi_supervised
from train.recipes.semi_supervised import Branches, Images, Passes, requirements
from train.recipes.semi_supervised.consistency import CONSISTENCIES
from train.recipes.state import TrainState, Weights


def _unchanged(logits: Array) -> Array:
    return logits


# `unlabelled.gradient`: what is done to the logits of the weak view.
TARGETS: dict[str, Callable[[Array], Array]] = {
    "strong": jax.lax.stop_gradient,
    "both": _unchanged,
}


def build(task: recipe.Task) -> recipe.BuiltRecipe:
    passes = Passes.of(task)
    target_of = TARGETS[task.config.unlabelled.gradient]

    def forward(params: PyTree, state: TrainState, images: Images) -> Branches:
        weights = Weights(params, state.batch_stats)
        logits, batch_stats = passes.logits(weights, images, state.step_key())
        labelled, weak, strong = logits
        return Branches(labelled, target_of(weak), strong, batch_stats)

    return semi_supervised.build(task, forward)


FIXMATCH = recipe.Recipe(
    "fixmatch",
    build,
    divergences=CONSISTENCIES,
    check=requirements.check,
    streams=requirements.streams,
)
