"""IKL adversarial training on scikit-learn's 1,797 real digits, in about a minute.

    make demo
    python -m train --config=configs/digits_ikl_at.py --workdir=runs/digits_ikl_at

Options: `:natural` trains without attacks, for comparison; `:validation`, for tuning:
evaluates on 300 training examples that are held out; `:quick` takes seconds.
"""

from configs import arguments, base
from configs.base import Config


def get_config(argument: str = "") -> Config:
    config = base.get_config()
    config.name = "digits_ikl_at"
    config.data.source = "digits"
    config.data.crop_padding = 1
    config.model.name = "cnn"
    config.epochs = 100
    config.checkpoint_every = 5
    config.evaluation.every = 5
    config.batch_size = 64
    config.optimizer.learning_rate = 0.1
    config.loss.alpha, config.loss.beta = 10.0, 2.0
    config.attack.epsilon = 0.12
    config.attack.steps = 5
    config.attack.relative_step_size = 0.5
    config.awp.gamma = 0.005
    config.awp.start_epoch = 5
    config.averaging.every = "step"
    config.averaging.decay = 0.99
    variants = {"natural": _natural, "validation": _validation, "quick": _quick}
    return arguments.vary(config, argument, variants)


def _natural(config: Config, _: str) -> None:
    config.recipe = "supervised"


def _validation(config: Config, _: str) -> None:
    config.data.validation_size = 300
    config.data.evaluate_on = "validation"


def _quick(config: Config, _: str) -> None:
    config.epochs = 2
    config.checkpoint_every = 1
    config.evaluation.every = 1
    config.awp.start_epoch = 1
    config.evaluation.steps = 5
