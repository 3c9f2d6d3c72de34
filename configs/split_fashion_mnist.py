"""Continual learning: Fashion-MNIST's ten classes in five tasks of two.

    python -m train --config=configs/split_fashion_mnist.py:lwf,ikl \
        --workdir=runs/split_ikl
    python -m train --config=configs/split_fashion_mnist.py:lwf,ikl,memory=20 \
        --workdir=runs/split_ikl_memory
    python -m train --config=configs/split_fashion_mnist.py:fine_tuning \
        --workdir=runs/split_fine_tuning

`--config.data.source` points at the four idx files (default: where Debian's package
dataset-fashion-mnist puts them). Options: `lwf`, learning without forgetting, or
`fine_tuning`, without a teacher; for `lwf` the loss `kd`, `ikl` or `gkl`; `memory=N`,
N examples that are kept of each earlier class; `task`, a cross-entropy over the classes
of the label's own task, and not over all seen; `validation`, for tuning: evaluates on
5,000 training images that are held out; `quick`, for a check in seconds.
"""

from configs import arguments, base
from configs.base import Config

METHODS = ("lwf", "fine_tuning")
LOSSES = {
    "kd": {"temperature": 2.0},
    "ikl": {"alpha": 1.0, "beta": 1.0},
    "gkl": {"alpha": 1.0, "beta": 1.0, "gamma": 0.5},
}


def get_config(argument: str = "") -> Config:
    config = base.get_config()
    config.name = "split_fashion_mnist"
    config.data.source = "idx:/usr/share/datasets/fashion-mnist"
    config.continual.classes_per_task = 2
    config.model.name = "cnn_8"
    config.epochs = 1
    config.batch_size = 64
    config.optimizer.learning_rate = 0.05
    config.optimizer.warmup = 0.1
    # Without it, the first steps of a task can end a network without BatchNorm: the
    # cross-entropy of new classes begins far above that of new weights.
    config.optimizer.clip_norm = 1.0
    config.log_every = 20
    config.loss.temperature = config.loss.weight_temperature = 2.0
    config.loss.weights = "sample"
    config.evaluation.every = 0
    config.evaluation.restarts = 0
    config.evaluation.batch_size = 500
    rest = _apply(config, argument)
    variants = {
        "memory": _memory, "task": _task, "validation": _validation, "quick": _quick,
    }  # fmt: skip
    return arguments.vary(config, rest, variants, valued=("memory",))


def _apply(config: Config, argument: str) -> str:
    """Applies the options of method and loss; returns the others."""
    options = list(filter(None, argument.split(",")))
    ours, rest = arguments.divide(options, method=METHODS, loss=LOSSES)
    chosen = arguments.choose(",".join(ours), method=METHODS, loss=LOSSES)
    method, loss = chosen["method"], chosen["loss"]
    if method == "fine_tuning":
        if len(ours) > 1:
            raise ValueError(f"fine_tuning takes no loss, got {argument!r}")
        config.recipe = "supervised"
        config.name += ":fine_tuning"
    else:
        config.recipe = "distillation"
        config.name += f":lwf,{loss}"
        config.loss.update({"name": loss, **LOSSES[loss]})
    return ",".join(rest)


def _memory(config: Config, value: str) -> None:
    config.continual.memory = int(arguments.number("memory", value))


def _task(config: Config, _: str) -> None:
    config.continual.cross_entropy = "task"


def _validation(config: Config, _: str) -> None:
    config.data.validation_size = 5000
    config.data.evaluate_on = "validation"


def _quick(config: Config, _: str) -> None:
    base.shrink(config)
    config.steps_per_epoch = 2
