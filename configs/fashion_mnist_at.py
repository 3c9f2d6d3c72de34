"""Adversarial training on Fashion-MNIST at l-infinity epsilon 0.1: four losses.

    python -m train --config=configs/fashion_mnist_at.py:loss=ikl --workdir=runs/fashion

`--config.data.source` points at the four idx files (default: where Debian's package
dataset-fashion-mnist puts them). Options: `loss=kl|dkl|ikl|gkl`; `strength=S`, the
multiple of that divergence; `validation`, for tuning: evaluates on 5,000 training
images that are held out; `quick`, for a check in seconds. Results: docs/results.md.
"""

from configs import arguments, base
from configs.base import Config

# At strength 1 each loss is itself at (1, 1). Learning rate, warm-up, alpha and gamma
# were tuned on held-out training images, see docs/results.md.
_LOSSES = {
    "kl": {"name": "kl", "alpha": 1.0, "beta": 1.0},
    "dkl": {"name": "dkl", "alpha": 1.0, "beta": 1.0},
    "ikl": {"name": "ikl", "alpha": 1.0, "beta": 1.0},
    "gkl": {"name": "gkl", "alpha": 1.0, "beta": 1.0, "gamma": 0.5},
}


def get_config(argument: str = "") -> Config:
    config = base.get_config()
    config.name = "fashion_mnist_at"
    config.data.source = "idx:/usr/share/datasets/fashion-mnist"
    config.model.name = "cnn"
    config.epochs = 5
    config.batch_size = 128
    config.log_every = 50
    config.optimizer.learning_rate = 0.1
    config.optimizer.warmup = 0.1
    config.attack.epsilon = 0.1
    config.attack.steps = 5
    config.attack.relative_step_size = 0.4
    config.attack.loss = "kl"
    config.evaluation.every = 0
    config.evaluation.batch_size = 500
    config.loss.strength = 4.0
    loss(config, "ikl")
    variants = {
        "loss": loss,
        "strength": strength,
        "validation": validation,
        "quick": _quick,
    }
    return arguments.vary(config, argument, variants, valued=("loss", "strength"))


def loss(config: Config, value: str) -> None:
    """The option `loss=NAME`."""
    if value not in _LOSSES:
        raise ValueError(f"loss must be one of {', '.join(_LOSSES)}, got {value!r}")
    config.loss.update(_LOSSES[value])


def strength(config: Config, value: str) -> None:
    """The option `strength=S`."""
    config.loss.strength = arguments.number("strength", value)


def validation(config: Config, _: str) -> None:
    """The option `validation`."""
    config.data.validation_size = 5000
    config.data.evaluate_on = "validation"


def _quick(config: Config, _: str) -> None:
    config.epochs = 1
    config.batch_size = 64
    config.evaluation.batch_size = 64
    config.evaluation.steps = 5
