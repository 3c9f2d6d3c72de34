"""Whether a config gives its recipe what the recipe needs, and nothing it cannot use.

Each recipe declares that in its `Recipe`; nothing here knows one by its name.
"""

from collections.abc import Iterator

from train.base import fields
from train.base.config import AttackConfig, Config, LossConfig
from train.base.errors import UserError
from train.data.subsets import class_splits
from train.recipes import attack
from train.recipes.losses import DIVERGENCES, Divergence
from train.recipes.recipe import Recipe


def check(config: Config, recipes: dict[str, Recipe]) -> None:
    """Raises `UserError` for the first thing that is missing or out of place."""
    fields.one_of("", config, recipe=recipes)
    recipe = recipes[config.recipe]
    # The name is checked for recipes without a divergence too: it may be mistyped.
    fields.one_of("loss", config.loss, name=recipe.divergences or DIVERGENCES)
    attack.check(config.attack, config.batch_norm)
    _check_second_view(config, recipe, recipes)
    _check_tasks(config, recipe, recipes)
    _check_teacher(config, recipe, recipes)
    _check_padding(config, recipe)
    recipe.check(config)


def _check_second_view(
    config: Config, recipe: Recipe, recipes: dict[str, Recipe]
) -> None:
    view = config.data.second_view
    if view != "none" and not recipe.takes_second_view:
        able = " or ".join(r.name for r in recipes.values() if r.takes_second_view)
        raise UserError(
            f"data.second_view must be none where recipe is not {able}, got {view} for "
            f"recipe={recipe.name}"
        )


def _check_teacher(config: Config, recipe: Recipe, recipes: dict[str, Recipe]) -> None:
    path = config.teacher.path
    if recipe.needs_teacher != bool(path):
        taught = " or ".join(r.name for r in recipes.values() if r.needs_teacher)
        raise UserError(
            "teacher.path must name a finished run's workdir or a file of "
            f"train.convert for recipe={taught}, and be empty for others, got "
            f"{path!r} for recipe={recipe.name}"
        )


def _check_padding(config: Config, recipe: Recipe) -> None:
    """Refuses gamma=0 with padded classes, whose weight would become 1."""
    for divergence, section in _divergences(config, recipe):
        flat = divergence.raises_weights and section.gamma == 0
        if flat and config.model.classes_multiple_of > 1:
            raise UserError(
                f"gamma=0 gives {divergence.name.upper()}'s weights of zero, those of "
                "padded classes, the weight 1: model.classes_multiple_of must be 1, "
                "or gamma above 0"
            )


def _check_tasks(config: Config, recipe: Recipe, recipes: dict[str, Recipe]) -> None:
    """Refuses what cannot be learned one task after another."""
    continual = config.continual
    if not class_splits.are_asked_for(continual):
        return
    if not recipe.learns_tasks:
        able = " or ".join(r.name for r in recipes.values() if r.learns_tasks)
        raise UserError(
            f"recipe must be {able} with continual.classes_per_task or "
            f"continual.splits, got {recipe.name}"
        )
    if continual.task == 1 and recipe.needs_teacher:
        raise UserError(
            "continual.task=1 has no task before it that could teach: recipe must be "
            f"supervised, got {recipe.name}"
        )
    if recipe.needs_teacher and config.loss.name == "dkd":
        raise UserError(
            "loss.name=dkd compares the label's class with the others, and a new "
            "class's label is none that the teacher knows: with continual.* it must be "
            "another, such as kd, ikl or gkl"
        )
    if smoothing := config.loss.label_smoothing:
        raise UserError(
            "loss.label_smoothing gives a share to classes that are not seen yet: it "
            f"must be 0 with continual.*, got {smoothing:g}"
        )


def _divergences(
    config: Config, recipe: Recipe
) -> Iterator[tuple[Divergence, LossConfig | AttackConfig]]:
    """Those that the recipe computes, with the section of their coefficients."""
    if recipe.divergences:
        yield recipe.divergences[config.loss.name], config.loss
    if recipe.attacks:
        yield attack.OBJECTIVES[config.attack.loss], config.attack
