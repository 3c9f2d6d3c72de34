"""Configs at run time: read, checked as a whole, written, compared."""

import json
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from ml_collections import ConfigDict

from ikl_jax import checks
from ikl_jax.attacks import geometry
from train import files, model, optim, processes, recipes
from train.data import views
from train.errors import UserError, explained
from train.recipes import adversarial, distillation, divergences
from train.types import Config

CHOICES = {
    "recipe": recipes.RECIPES,
    "model.dtype": model.DTYPES,
    "teacher.dtype": model.DTYPES,
    "data.evaluate_on": ("test", "validation"),
    "data.undecodable": ("error", "skip"),
    "optimizer.schedule": optim.SCHEDULES,
    "loss.weights": ("class_means", "sample"),
    "attack.norm": geometry.NORMS,
    "attack.loss": ("cross_entropy", *divergences.DIVERGENCES),
    "attack.start": adversarial.STARTS,
    "data.second_view": views.VIEWS,
    "batch_norm.attack": adversarial.LOGITS,
    "averaging.every": ("none", "step", "epoch"),
    "averaging.batch_norm": ("averaged", "copied"),
}
# Fields that a run may be continued with other values of; with a dot at the end, all
# of a section. Of what paths lead to, the content is compared.
MAY_CHANGE = (
    "epochs", "mesh", "fsdp", "accumulate", "model.remat", "log_every",
    "checkpoint_every", "keep_checkpoints", "data.threads", "data.data_dir",
    "data.source", "data.synthetic", "data.undecodable", "teacher.path",
    "teacher.cache", "evaluation.",
)  # fmt: skip
# Fields that a run may be evaluated with other values of.
OF_EVALUATION = (
    "mesh", "data.threads", "data.data_dir", "data.source", "model.dtype",
    "evaluation.",
)  # fmt: skip
AUGMENTATIONS = ("data.crop_padding", "data.flip", "data.random_resized_crop")
POSITIVE = (
    "epochs", "batch_size", "accumulate", "log_every", "checkpoint_every",
    "keep_checkpoints", "data.threads", "data.resize_shorter",
    "loss.temperature", "loss.weight_temperature", "model.bn_groups",
    "model.classes_multiple_of",
    "evaluation.batch_size", "evaluation.during_training",
)  # fmt: skip
NON_NEGATIVE = (
    "data.validation_size", "data.crop_padding", "data.image_size",
    "optimizer.learning_rate", "optimizer.momentum", "optimizer.weight_decay",
    "loss.cross_entropy", "loss.strength", "loss.gamma", "loss.warmup_epochs",
    "attack.epsilon", "attack.steps", "attack.relative_step_size",
    "attack.start_scale", "attack.gamma",
    "attack.first_steps", "data.second_view_cutout", "loss.second_view_weight",
    "awp.second_view_weight",
    "awp.gamma", "awp.start_epoch", "averaging.start_epoch",
    "evaluation.every", "evaluation.steps", "evaluation.relative_step_size",
    "evaluation.restarts",
)  # fmt: skip
SHARES = (
    "optimizer.warmup", "attack.epsilon_ramp", "loss.class_means_momentum",
    "loss.label_smoothing", "averaging.decay", "data.synthetic_ratio",
    "model.bn_momentum",
)  # fmt: skip


def validate(config: Config) -> None:
    """Raises `UserError` for the first value that no run can use."""
    with explained():
        for field, allowed in CHOICES.items():
            checks.one_of(field, get(config, field), allowed)
        checks.one_of("loss.name", config.loss.name, _losses(config))
        for name in config.batch_norm.updates:
            checks.one_of("batch_norm.updates", name, ("adversarial", "natural"))
        checks.positive(**{field: get(config, field) for field in POSITIVE})
        checks.non_negative(**{field: get(config, field) for field in NON_NEGATIVE})
    for field in SHARES:
        if not 0 <= get(config, field) <= 1:
            raise UserError(f"{field} must lie in [0, 1], got {get(config, field)}")
    if not all(0 < share < 1 for share in config.optimizer.milestones):
        raise UserError(
            "optimizer.milestones must be shares of the epochs within (0, 1), "
            f"got {config.optimizer.milestones}"
        )
    if config.optimizer.cycle_momentum:
        schedule = config.optimizer.schedule
        if schedule not in optim.ONE_CYCLES:
            raise UserError(
                "optimizer.cycle_momentum is for the schedules "
                f"{' and '.join(optim.ONE_CYCLES)}, got {schedule}"
            )
    shots = get(config, "evaluation.shots")
    if len(shots) != 2 or not 0 <= shots[0] <= shots[1]:
        raise UserError(
            "evaluation.shots must be two numbers of training examples, the smaller "
            f"first, got {shots}"
        )
    attack = config.attack
    still = attack.start == "natural" or (
        attack.start == "gaussian" and not attack.start_scale
    )
    if still and attack.loss != "cross_entropy":
        raise UserError(
            f"attack.loss={attack.loss} has no gradient at the natural image: "
            "attack.start must be uniform, or gaussian with attack.start_scale > 0, "
            f"got {attack.start} (start_scale {attack.start_scale})"
        )
    if attack.first_steps > attack.steps:
        raise UserError(
            f"attack.first_steps must be at most attack.steps={attack.steps}, got "
            f"{attack.first_steps}"
        )
    if config.data.second_view != "none" and config.recipe != "adversarial":
        raise UserError(
            "data.second_view must be none where recipe is not adversarial, got "
            f"{config.data.second_view} for recipe={config.recipe}"
        )
    if config.data.second_view_cutout and config.data.second_view == "none":
        raise UserError(
            "data.second_view_cutout must be 0 where data.second_view is none, got "
            f"{config.data.second_view_cutout}"
        )
    if (config.recipe == "distillation") != bool(config.teacher.path):
        raise UserError(
            "teacher.path must name a finished run's workdir or a file of "
            "train.convert for recipe=distillation, and be empty for others, got "
            f"{config.teacher.path!r} for recipe={config.recipe}"
        )
    if config.teacher.cache and not config.teacher.path:
        raise UserError("teacher.cache needs a teacher.path, whose logits it keeps")
    augmented = [name for name in AUGMENTATIONS if get(config, name)]
    if config.teacher.cache and config.data.undecodable == "skip":
        raise UserError(
            "teacher.cache has a row for each training example: data.undecodable must "
            "be error with it, got skip"
        )
    if config.teacher.cache and config.data.synthetic:
        raise UserError(
            "teacher.cache has a row for each real training example: it must be empty "
            f"with data.synthetic, got {config.teacher.cache!r}"
        )
    if config.teacher.cache and augmented:
        raise UserError(
            "teacher.cache keeps the logits of images as they are: it must be empty "
            f"where {augmented[0]} changes them, got {config.teacher.cache!r}"
        )
    if _pads_gkl_to_the_power_of_zero(config):
        raise UserError(
            "gamma=0 gives GKL's weights of zero, those of padded classes, the weight "
            "1: model.classes_multiple_of must be 1, or gamma above 0"
        )
    if _accumulates_sampled_gkl(config):
        raise UserError(
            f"accumulate={config.accumulate} cannot give GKL's loss of the whole batch "
            "where weights are the sample's own (loss.weights=sample, or loss.name=kl "
            "or dkl with attack.loss=gkl): accumulate must be 1"
        )
    _validate_data(config.data)


def _validate_data(data: Config) -> None:
    if data.imbalance_ratio < 1:
        raise UserError(
            f"data.imbalance_ratio must be >= 1, got {data.imbalance_ratio:g}"
        )
    if data.evaluate_on == "validation" and not data.validation_size:
        raise UserError("data.evaluate_on=validation needs data.validation_size > 0")
    if data.image_size > data.resize_shorter:
        raise UserError(
            f"data.image_size must be at most data.resize_shorter="
            f"{data.resize_shorter}, got {data.image_size}"
        )
    if data.random_resized_crop and not data.image_size:
        raise UserError("data.random_resized_crop needs data.image_size > 0, got 0")
    if data.random_resized_crop and data.crop_padding:
        raise UserError(
            "data.random_resized_crop crops already: data.crop_padding must be 0, got "
            f"{data.crop_padding}"
        )
    if data.random_resized_crop and data.synthetic:
        raise UserError(
            "data.random_resized_crop cuts encoded images, which synthetic ones are "
            "not: it must be False with data.synthetic"
        )
    if data.train_list and data.imbalance_ratio != 1:
        raise UserError(
            "data.train_list says what to train on: data.imbalance_ratio must be 1, "
            f"got {data.imbalance_ratio:g}"
        )


def _losses(config: Config) -> Iterable[str]:
    distils = config.recipe == "distillation"
    return distillation.LOSSES if distils else divergences.DIVERGENCES


def _pads_gkl_to_the_power_of_zero(config: Config) -> bool:
    used = {
        "adversarial": (
            (config.loss.name, config.loss), (config.attack.loss, config.attack)
        ),
        "distillation": ((config.loss.name, config.loss),),
    }  # fmt: skip
    flat = any(
        name == "gkl" and section.gamma == 0
        for name, section in used.get(config.recipe, ())
    )
    return flat and config.model.classes_multiple_of > 1


def _accumulates_sampled_gkl(config: Config) -> bool:
    names = (config.loss.name, config.attack.loss)
    sampled = "gkl" in names and not divergences.uses_class_means(config.loss)
    return sampled and config.accumulate > 1 and config.recipe == "adversarial"


def is_among(field: str, names: Iterable[str]) -> bool:
    """Whether a field is named there, or its section is."""
    section = field.partition(".")[0] + "."
    return field in names or section in names


def get(config: Config, field: str) -> Any:
    """The value of a dotted field; `UserError` if there is none."""
    for part in field.split("."):
        if part not in config:
            raise UserError(f"the config lacks {field}, which configs/base.py has")
        config = config[part]
    return config


def to_json(config: Config) -> str:
    return files.to_json(json.loads(config.to_json()))


def load(workdir: pathlib.Path) -> Config:
    """The config of an earlier run."""
    path = workdir / "config.json"
    if not path.is_file():
        raise UserError(f"{workdir} holds no run: there is no {path.name} in it")
    return ConfigDict(files.read_json(path))


def claim(workdir: pathlib.Path, config: Config) -> None:
    """Makes `workdir` this config's: writes config.json, or checks the one there.

    Other values of the fields in `MAY_CHANGE` pass; `record` writes them.
    """
    path = workdir / "config.json"
    try:
        if not path.exists():
            if workdir.is_dir() and {*workdir.iterdir()} - {files.unfinished(path)}:
                raise UserError(f"{workdir} holds files that are not a run's")
            workdir.mkdir(parents=True, exist_ok=True)
            record(workdir, config)
            return
    except OSError as error:
        raise UserError(f"cannot use the workdir: {error}") from error
    changed = differences(files.read_json(path), json.loads(config.to_json()))
    fixed = [
        f"{field} is {before!r} there and {now!r} here"
        for field, (before, now) in changed.items()
        if not is_among(field, MAY_CHANGE)
    ]
    if fixed:
        raise UserError(
            f"{workdir} holds another config's run: {'; '.join(fixed)}. "
            "Use another --workdir, or delete this one"
        )


def record(workdir: pathlib.Path, config: Config) -> None:
    """Writes the config that a claimed workdir's run goes on with."""
    files.write_whole(workdir / "config.json", to_json(config))


def changed(workdir: pathlib.Path, config: Config, prefix: str) -> bool:
    """Whether a claimed workdir's config has other values of fields so named."""
    before = files.read_json(workdir / "config.json")
    fields = differences(before, json.loads(config.to_json()))
    return any(field.startswith(prefix) for field in fields)


def differences(
    before: dict[str, Any], now: dict[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """The dotted fields that differ between two configs, with both values."""
    old, new = dict(_flat(before)), dict(_flat(now))
    return {
        field: (old.get(field), new.get(field))
        for field in sorted(old.keys() | new.keys())
        if old.get(field) != new.get(field)
    }


def agree(config: Config) -> None:
    """Raises `UserError` unless every process has the first one's config."""
    mine = config.to_json()
    theirs = processes.broadcast(mine)
    changed = differences(json.loads(theirs), json.loads(mine))
    if not processes.everywhere(not changed):
        shown = "; ".join(
            f"{field} is {first!r} on process 0 and {here!r} here"
            for field, (first, here) in changed.items()
        )
        raise UserError(f"the processes have different configs: {shown or 'see there'}")


def _flat(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
