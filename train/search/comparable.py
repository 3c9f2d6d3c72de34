"""Whether a search is a fair one: its trials are compared on the same terms."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from train import recipes
from train.base.config import Config
from train.base.errors import UserError
from train.experiment import settings, tasks, validation
from train.search.space import Space, shown

# They decide which examples a trial is evaluated on, and how; a name with a dot at the
# end means all fields of a section.
OF_EVALUATION = (
    "data.source", "data.data_dir", "data.train_split", "data.test_split",
    "data.train_list", "data.validation_size", "data.evaluate_on", "data.num_classes",
    "data.image_size", "data.resize_shorter", "data.exif_rotation",
    "data.undecodable", "evaluation.", "continual.",
)  # fmt: skip
OF_THE_ATTACK = ("attack.epsilon", "attack.norm")  # of the evaluation's, too
# Fields of the section loss that say how a squared error is weighted.
WEIGHTING = ("weights", "weight_temperature", "class_means_momentum")
IN_DISTILLATION = ("loss.temperature", "loss.warmup_epochs", "loss.cross_entropy")


def check_config(config: Config) -> None:
    """Refuses a config whose runs must not be chosen among.

    Raises:
      UserError: its runs are evaluated on the test part, or it is no run at all.
    """
    if config.data.evaluate_on != "validation":
        raise UserError(
            "a search chooses among its trials, which the test part is not for: "
            f"data.evaluate_on must be validation, got {config.data.evaluate_on}; many "
            "configs have the argument `validation` for it, as in "
            "configs/digits_ikl_at.py:validation, and others take "
            "--config.data.evaluate_on=validation --config.data.validation_size=N"
        )
    if tasks.is_sequence(config):
        raise UserError(
            "a sequence of tasks is many runs, which a search does not compare: name "
            "one with continual.task"
        )


def check_space(space: Space, config: Config, objectives: Iterable[str]) -> None:
    """Refuses a space some of whose trials could not be trained or compared.

    Raises:
      UserError: a field decides how trials are evaluated, or has no effect, or one of
        its values cannot be used.
    """
    validation.validate(config)
    for field in space:
        if settings.is_among(field, OF_EVALUATION):
            raise UserError(
                f"--space: {field} decides what trials are evaluated on, or how, so "
                "trials with different values could not be compared"
            )
        if field in OF_THE_ATTACK and "robust" in objectives:
            raise UserError(
                f"--space: {field} is that of the evaluation's attack too, so robust "
                "accuracies with different values could not be compared"
            )
    if not {"recipe", "loss.name"} & set(space):
        for field in space:
            if reason := _without_effect(field, config):
                raise UserError(f"--space: {field} has no effect here: {reason}")
    for field, value in _ends(space):
        changed = with_values(config, {field: value})
        try:
            validation.validate(changed)
        except UserError as error:
            raise UserError(f"--space: {field}={shown(value)}: {error}") from error


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """A copy of the config with other values in some fields."""
    changed = copy.deepcopy(config)
    changed.update_from_flattened_dict(values)
    return changed


def _ends(space: Space) -> Iterator[tuple[str, Any]]:
    return ((field, value) for field, each in space.items() for value in each.ends)


def _without_effect(field: str, config: Config) -> str:
    """Why no run of this recipe and loss reads the field; "" if some do."""
    recipe = recipes.RECIPES[config.recipe]
    section, _, name = field.partition(".")
    if section in ("attack", "awp", "batch_norm") and not recipe.attacks:
        return f"recipe={recipe.name} trains without attacks"
    if section == "teacher" and not recipe.needs_teacher:
        return f"recipe={recipe.name} has no teacher"
    if section != "loss" or name in ("label_smoothing", "second_view_weight"):
        return ""
    if not recipe.divergences:
        return f"recipe={recipe.name} has no divergence"
    if recipe.attacks and field in IN_DISTILLATION:
        return (
            "adversarial training does not read it; the temperature of the class means "
            "is loss.weight_temperature"
        )
    divergence = recipe.divergences[config.loss.name]
    attack = recipe.divergences.get(config.attack.loss) if recipe.attacks else None
    read = divergence.reads | (attack.reads if attack else frozenset())
    if name in ("alpha", "beta", "gamma") and name not in read:
        return f"loss.name={divergence.name} does not read it"
    unweighted = divergence.weights == "none"
    if recipe.attacks and config.attack.loss != config.loss.name:
        unweighted = False  # the attack's loss may have weights
    if name in WEIGHTING and unweighted:
        return f"loss.name={divergence.name} has no weights to choose"
    return ""
