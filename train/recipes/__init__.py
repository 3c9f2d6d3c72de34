"""Recipes: each builds the initial state, the step and what ends an epoch."""

from collections.abc import Callable

from train.recipes import adversarial, distillation, supervised
from train.recipes.recipe import Recipe, Task

RECIPES: dict[str, Callable[[Task], Recipe]] = {
    "adversarial": adversarial.build,
    "distillation": distillation.build,
    "supervised": supervised.build,
}

__all__ = ["RECIPES", "Recipe", "Task"]
