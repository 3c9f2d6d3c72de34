"""Robust self-training on Fashion-MNIST: adversarial training with 1,000 labels.

    python -m train --config=configs/fashion_mnist_self_training.py:teacher \
        --workdir=runs/teacher
    python -m train.pseudo_label --workdir=runs/teacher --output=pseudo.npz
    python -m train.convert_synthetic --parts=pseudo.npz --output=pseudo
    python -m train --config=configs/fashion_mnist_self_training.py \
        --workdir=runs/student --config.data.synthetic=pseudo

A teacher learns from the labelled images and labels the others. The student trains
adversarially on both, as many of each in a batch, with IKL (Carmon et al., 2019,
https://arxiv.org/abs/1905.13736; Uesato et al., 2019, https://arxiv.org/abs/1905.13725).

Options: `teacher`; `labelled`, the student on the labelled images alone; `oracle`, on
all images with their true labels; `loss=kl|dkl|ikl|gkl` and `strength=S`, as in
`configs/fashion_mnist_at.py`; `labels=N`, a multiple of 10; `validation`, for tuning:
evaluates on 5,000 training images that are held out; `quick`, for a check in seconds.
`--config.data.source` points at the four idx files. Results: docs/semi_supervised.md.
"""

from configs import arguments, fashion_mnist_at
from configs.base import Config


def get_config(argument: str = "") -> Config:
    options = list(filter(None, argument.split(",")))
    roles = ",".join(option for option in options if option in ROLES)
    role = arguments.choose(roles, role=ROLES)["role"]
    config = fashion_mnist_at.get_config()
    config.data.num_labels = 1000
    config.data.crop_padding = 2
    config.data.crop_fill = "reflect"
    config.data.flip = True
    config.steps_per_epoch = 400
    variants = {
        "labels": _labels,
        "loss": fashion_mnist_at.loss,
        "strength": fashion_mnist_at.strength,
        "validation": fashion_mnist_at.validation,
        "quick": _quick,
    }
    rest = ",".join(option for option in options if option not in ROLES)
    arguments.vary(config, rest, variants, valued=("labels", "loss", "strength"))
    ROLES[role](config)
    config.name = f"fashion_mnist_self_training:{argument}".removesuffix(":")
    return config


def _student(config: Config) -> None:
    config.data.synthetic = "pseudo"
    config.data.synthetic_ratio = 0.5


def _teacher(config: Config) -> None:
    config.recipe = "supervised"
    config.evaluation.restarts = 0


def _labelled(config: Config) -> None:
    """Nothing but the labelled images."""


def _oracle(config: Config) -> None:
    config.data.num_labels = 0


ROLES = {
    "student": _student, "teacher": _teacher, "labelled": _labelled, "oracle": _oracle,
}  # fmt: skip


def _labels(config: Config, value: str) -> None:
    config.data.num_labels = int(arguments.number("labels", value))


def _quick(config: Config, _: str) -> None:
    config.epochs, config.steps_per_epoch = 1, 4
    config.batch_size = 32
    config.log_every = 1
    config.evaluation.batch_size = 64
    config.evaluation.steps = 2
