"""Whether a config as a whole is one that a run can use.

The checks of a section lie beside what the section is about; here they are called, and
here is what concerns the run as a whole or sections of several rooms.
"""

from train import recipes
from train.base import config as sections
from train.base import contents, fields
from train.base.config import Config, EvaluationConfig
from train.base.errors import UserError
from train.data import checks as data_checks
from train.data.subsets import class_splits
from train.experiment.settings import get
from train.networks import model
from train.recipes import averaging, losses, optim, requirements

# Fields that must be as they are by default in a sequence of tasks.
WITHOUT_TASKS = (
    "data.num_labels", "data.label_list", "data.synthetic", "teacher.cache",
)  # fmt: skip
AUGMENTATIONS = ("data.crop_padding", "data.flip", "data.random_resized_crop")


def validate(config: Config) -> None:
    """Raises `UserError` for the first value that no run can use."""
    for field, kind in sections.kinds():
        contents.check(field, get(config, field), kind)
    fields.non_negative("", config, "seed")
    fields.positive(
        "", config, "epochs", "batch_size", "accumulate", "log_every",
        "checkpoint_every", "keep_checkpoints",
    )  # fmt: skip
    fields.non_negative("", config, "steps_per_epoch")
    model.check_config(config.model)
    data_checks.check(config.data)
    optim.check(config.optimizer)
    losses.check(config.loss)
    averaging.check(config.averaging)
    class_splits.check(config.continual)
    _check_evaluation(config.evaluation)
    requirements.check(config, recipes.RECIPES)
    _check_tasks(config)
    _check_teacher(config)


def _check_evaluation(evaluation: EvaluationConfig) -> None:
    """Here and not in `train/evaluation`, which is built upon runs."""
    fields.positive("evaluation", evaluation, "batch_size", "during_training")
    fields.non_negative(
        "evaluation", evaluation, "every", "steps", "relative_step_size", "restarts"
    )
    shots = evaluation.shots
    if len(shots) != 2 or not 0 <= shots[0] <= shots[1]:
        raise UserError(
            "evaluation.shots must be two numbers of training examples, the smaller "
            f"first, got {shots}"
        )


def _check_teacher(config: Config) -> None:
    """Here and not in `train/teachers`, which is built upon runs."""
    fields.one_of("teacher", config.teacher, dtype=model.DTYPES)
    path, cache = config.teacher.path, config.teacher.cache
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


def _check_tasks(config: Config) -> None:
    """Refuses fields that do not go with the tasks of `config.continual`."""
    if not class_splits.are_asked_for(config.continual):
        return
    for field in WITHOUT_TASKS:
        if value := get(config, field):
            raise UserError(
                f"{field} does not go with continual.classes_per_task and "
                f"continual.splits: it must be {type(value)()!r}, got {value!r}"
            )
    if not config.continual.memory:
        return
    if config.data.random_resized_crop or not config.data.drop_remainder:
        raise UserError(
            "continual.memory mixes whole batches of images as they are: "
            "data.random_resized_crop must be False and data.drop_remainder True, got "
            f"{config.data.random_resized_crop} and {config.data.drop_remainder}"
        )
