"""Distillation on scikit-learn's 1,797 real digits.

    python -m train --config=configs/digits_distill.py:teacher --workdir=runs/teacher
    python -m train --config=configs/digits_distill.py:loss=ikl --workdir=runs/student \
        --config.teacher.path=runs/teacher

Options: `teacher`, the run that students learn from; `alone`, a student without one;
`loss=kd|dkd|dkl|ikl|gkl`; `sample`, weights from each example and not its class;
`quick`, for a check in seconds.
"""

from configs import arguments, base
from configs.base import Config

# The student has no BatchNorm and does not bear the published alphas at this rate.
LOSSES = {
    "kd": {"strength": 0.9, "cross_entropy": 0.1},
    "dkd": {"alpha": 1.0, "beta": 8.0},
    "dkl": {"alpha": 1.0, "beta": 1.0},
    "ikl": {"alpha": 0.3, "beta": 1.0},
    "gkl": {"alpha": 0.3, "beta": 1.0, "gamma": 0.5},
}


def get_config(argument: str = "") -> Config:
    config = base.get_config()
    config.name = "digits_distill"
    config.recipe = "distillation"
    config.data.crop_padding = 1
    config.model.name = "cnn"
    config.epochs = 20
    config.optimizer.learning_rate = 0.05
    config.loss.warmup_epochs = 2
    config.checkpoint_every = 5
    config.evaluation.every = 5
    config.evaluation.steps = 5
    name_loss(config, "ikl")
    variants = {
        "teacher": _teacher,
        "alone": alone,
        "loss": name_loss,
        "sample": sample,
        "quick": _quick,
    }
    return arguments.vary(config, argument, variants, valued=("loss",))


def _teacher(config: Config, _: str) -> None:
    config.recipe = "supervised"
    config.model.name = "wide_resnet_10_1"


def alone(config: Config, _: str) -> None:
    config.recipe = "supervised"


def name_loss(config: Config, value: str) -> None:
    if value not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {value!r}")
    config.loss.update({"name": value, **LOSSES[value]})


def sample(config: Config, _: str) -> None:
    config.loss.weights = "sample"


def _quick(config: Config, _: str) -> None:
    config.epochs = 1
    config.checkpoint_every = 1
    config.evaluation.every = 0
    config.evaluation.during_training = 64
