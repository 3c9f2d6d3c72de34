"""Whether a config as a whole is one that a run can use."""

from collections.abc import Iterable

from ikl_jax import checks
from ikl_jax.attacks.common import geometry
from train import recipes
from train.base.config import Config
from train.base.errors import UserError, explained
from train.data.augment import views
from train.experiment.settings import get
from train.networks import model
from train.recipes import adversarial, distillation, divergences, optim

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
    _check_fields(config)
    for check in (
        _check_optimizer, _check_evaluation, _check_attack, _check_second_view,
        _check_teacher, _check_gkl, _check_data,
    ):  # fmt: skip
        check(config)


def _check_fields(config: Config) -> None:
    """Each by itself."""
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


def _check_optimizer(config: Config) -> None:
    optimizer = config.optimizer
    if not all(0 < share < 1 for share in optimizer.milestones):
        raise UserError(
            "optimizer.milestones must be shares of the epochs within (0, 1), "
            f"got {optimizer.milestones}"
        )
    if optimizer.cycle_momentum and optimizer.schedule not in optim.ONE_CYCLES:
        raise UserError(
            "optimizer.cycle_momentum is for the schedules "
            f"{' and '.join(optim.ONE_CYCLES)}, got {optimizer.schedule}"
        )


def _check_evaluation(config: Config) -> None:
    shots = get(config, "evaluation.shots")
    if len(shots) != 2 or not 0 <= shots[0] <= shots[1]:
        raise UserError(
            "evaluation.shots must be two numbers of training examples, the smaller "
            f"first, got {shots}"
        )


def _check_attack(config: Config) -> None:
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


def _check_second_view(config: Config) -> None:
    view, cutout = config.data.second_view, config.data.second_view_cutout
    if view != "none" and config.recipe != "adversarial":
        raise UserError(
            "data.second_view must be none where recipe is not adversarial, got "
            f"{view} for recipe={config.recipe}"
        )
    if cutout and view == "none":
        raise UserError(
            "data.second_view_cutout must be 0 where data.second_view is none, got "
            f"{cutout}"
        )


def _check_teacher(config: Config) -> None:
    path, cache = config.teacher.path, config.teacher.cache
    if (config.recipe == "distillation") != bool(path):
        raise UserError(
            "teacher.path must name a finished run's workdir or a file of "
            "train.convert for recipe=distillation, and be empty for others, got "
            f"{path!r} for recipe={config.recipe}"
        )
    if not cache:
        return
    if not path:
        raise UserError("teacher.cache needs a teacher.path, whose logits it keeps")
    if config.data.undecodable == "skip":
        raise UserError(
            "teacher.cache has a row for each training example: data.undecodable must "
            "be error with it, got skip"
        )
    if config.data.synthetic:
        raise UserError(
            "teacher.cache has a row for each real training example: it must be empty "
            f"with data.synthetic, got {cache!r}"
        )
    for name in AUGMENTATIONS:
        if get(config, name):
            raise UserError(
                "teacher.cache keeps the logits of images as they are: it must be "
                f"empty where {name} changes them, got {cache!r}"
            )


def _check_gkl(config: Config) -> None:
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


def _check_data(config: Config) -> None:
    data = config.data
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
