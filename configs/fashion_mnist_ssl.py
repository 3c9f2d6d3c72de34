"""Semi-supervised learning on Fashion-MNIST with 40, 250 or 1,000 labels.

    python -m train --config=configs/fashion_mnist_ssl.py:fixmatch,ikl,labels=250 \
        --workdir=runs/fashion_ssl
    python -m train --config=configs/fashion_mnist_ssl.py:supervised,labels=250 \
        --workdir=runs/fashion_250

`--config.data.source` points at the four idx files (default: where Debian's package
dataset-fashion-mnist puts them). Options: `fixmatch`, `mean_teacher`, or `supervised`
for the labelled examples alone; `ikl`, `gkl`, `dkl`, `kl`, `ce`, `soft_ce` or `mse`;
`labels=N`, a multiple of 10; `validation`, for tuning: evaluates on 5,000 training
images that are held out; `quick`, for a check in seconds.
"""

from configs import arguments, base, semi_supervised
from configs.base import Config


def get_config(argument: str = "") -> Config:
    config = base.get_config()
    config.name = "fashion_mnist_ssl"
    config.data.source = "idx:/usr/share/datasets/fashion-mnist"
    config.data.num_labels = 250
    config.data.crop_padding = 2
    config.data.crop_fill = "reflect"
    config.data.flip = True
    config.model.name = "cnn"
    config.epochs = 5
    config.steps_per_epoch = 100
    config.batch_size = 16
    config.optimizer.learning_rate = 0.03
    config.optimizer.nesterov = True
    config.unlabelled.ratio = 4
    config.log_every = 50
    config.evaluation.batch_size = 500
    rest = semi_supervised.apply(config, argument)
    variants = {"labels": _labels, "validation": _validation, "quick": _quick}
    return arguments.vary(config, rest, variants, valued=("labels",))


def _labels(config: Config, value: str) -> None:
    config.data.num_labels = int(arguments.number("labels", value))


def _validation(config: Config, _: str) -> None:
    config.data.validation_size = 5000
    config.data.evaluate_on = "validation"


def _quick(config: Config, _: str) -> None:
    semi_supervised.shrink(config)
