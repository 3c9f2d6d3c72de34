"""Distillation on Fashion-MNIST, whole or long-tailed, to a sixtieth of the parameters.

    python -m train --config=configs/fashion_mnist_distill.py:teacher \
        --workdir=runs/fashion_teacher
    python -m train --config=configs/fashion_mnist_distill.py:loss=ikl \
        --workdir=runs/fashion_student \
        --config.teacher.path=runs/fashion_teacher \
        --config.teacher.cache=runs/fashion_teacher_logits

`--config.data.source` points at the four idx files (default: where Debian's package
dataset-fashion-mnist puts them). Options: `long_tail`, a training part whose classes
have 1 to 1/100 of the first's examples (teacher and students alike; give it first);
`teacher`; `alone`, a student without one; `loss=kd|dkd|ikl|gkl`; `sample`, weights from
each example and not its class; `validation`, for tuning: evaluates on the 5,000
training images that are held out from all of them; `quick`, for a check in seconds.
Results: docs/results.md.
"""

from configs import arguments, base
from configs.base import Config
from configs.digits_distill import alone, name_loss, sample


def get_config(argument: str = "") -> Config:
    config = base.get_config()
    config.name = "fashion_mnist_distill"
    config.recipe = "distillation"
    config.data.source = "idx:/usr/share/datasets/fashion-mnist"
    config.data.validation_size = 5000
    config.model.name = "cnn_4"
    config.epochs = 10
    config.batch_size = 128
    config.log_every = 50
    config.optimizer.learning_rate = 0.1
    config.optimizer.warmup = 0.1
    config.evaluation.every = 0
    config.evaluation.batch_size = 500
    config.evaluation.restarts = 0
    # The long tail's classes have 5,500 to 55 training images.
    config.evaluation.shots = (200, 1000)
    name_loss(config, "ikl")
    variants = {
        "long_tail": _long_tail,
        "teacher": _teacher,
        "alone": alone,
        "loss": name_loss,
        "sample": sample,
        "validation": _validation,
        "quick": _quick,
    }
    return arguments.vary(config, argument, variants, valued=("loss",))


def _long_tail(config: Config, _: str) -> None:
    config.data.imbalance_ratio = 100.0
    config.epochs = 20


def _teacher(config: Config, _: str) -> None:
    config.recipe = "supervised"
    config.model.name = "cnn_32"


def _validation(config: Config, _: str) -> None:
    config.data.evaluate_on = "validation"


def _quick(config: Config, _: str) -> None:
    config.epochs = 1
    config.checkpoint_every = 1
