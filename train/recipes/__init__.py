"""The registry of recipes: every one that is imported here.

A new recipe is a file beside this one that defines a `Recipe`, and a line here that
imports it.
"""
# ruff: noqa: F401

from train.base import registry
from train.recipes.adversarial import ADVERSARIAL
from train.recipes.distillation import DISTILLATION
from train.recipes.fixmatch import FIXMATCH
from train.recipes.mean_teacher import MEAN_TEACHER
from train.recipes.recipe import BuiltRecipe, Recipe, Task
from train.recipes.supervised import SUPERVISED

# Names to recipes: `config.recipe`.
RECIPES: dict[str, Recipe] = registry.by_name(globals(), Recipe)
