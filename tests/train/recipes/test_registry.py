"""What recipes and divergences declare, and that nothing else knows them by name."""

import ast
import dataclasses

import pytest

from configs import base
from tests.conftest import ROOT
from train.base.errors import UserError
from train.recipes import RECIPES, requirements
from train.recipes.losses import DIVERGENCES

# Images after an attack and a term of the loss are called so, too.
WORDS = {"adversarial", "distillation"}
# What people call them; a name that is not there is shown as it is.
FOR_PEOPLE = ROOT / "train" / "reports" / "page" / "words.py"

OUTSIDE = sorted(
    path
    for path in (ROOT / "train").rglob("*.py")
    if "recipes" not in path.relative_to(ROOT / "train").parts and path != FOR_PEOPLE
)


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_recipe_or_divergence_is_named_outside_its_room(path):
    names = {*RECIPES, *DIVERGENCES} - WORDS
    literals = {
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert not literals & names


def config(**changed):
    whole = base.get_config()
    for field, value in changed.items():
        section, _, name = field.rpartition("__")
        (whole[section] if section else whole)[name] = value
    return whole


def refused(message, recipes=RECIPES, **changed):
    with pytest.raises(UserError, match=message):
        requirements.check(config(**changed), recipes)


def test_a_recipe_is_refused_what_it_does_not_declare():
    """By its declaration: another name for the same recipe is refused the same."""
    plain = dataclasses.replace(RECIPES["supervised"], name="plain")
    taught = dataclasses.replace(RECIPES["distillation"], name="taught")
    recipes = {"plain": plain, "taught": taught, **RECIPES}
    refused("where recipe is not adversarial, got plain for recipe=plain", recipes,
            recipe="plain", data__second_view="plain")  # fmt: skip
    refused("teacher.path must name .* for recipe=taught or distillation", recipes,
            recipe="taught")  # fmt: skip
    refused("be empty for others, got 'x' for recipe=plain", recipes,
            recipe="plain", teacher__path="x")  # fmt: skip
    requirements.check(config(recipe="plain"), recipes)
    requirements.check(config(recipe="taught", teacher__path="x"), recipes)


def test_a_recipe_knows_the_divergences_that_it_declares():
    few = dataclasses.replace(
        RECIPES["distillation"], divergences={"kd": DIVERGENCES["kd"]}
    )
    refused("unknown loss.name 'ikl'; known: kd", {"distillation": few},
            recipe="distillation", teacher__path="x")  # fmt: skip


def test_class_wise_dkl_in_the_attack_needs_class_means():
    attack = dict(attack__loss="class_wise_dkl")
    refused("takes its weights from the class means", loss__name="kl", **attack)
    refused("loss.weights=sample", loss__weights="sample", **attack)
    requirements.check(config(**attack), RECIPES)
    requirements.check(config(loss__name="class_wise_dkl", **attack), RECIPES)
