"""Semi-supervised learning on scikit-learn's digits: 40 labels, 1,437 images.

    python -m train --config=configs/digits_ssl.py:fixmatch,ikl --workdir=runs/digits
    python -m train --config=configs/digits_ssl.py:supervised --workdir=runs/digits_40

Options: `fixmatch`, `mean_teacher`, or `supervised` for the labelled examples alone;
`ikl`, `gkl`, `dkl`, `kl`, `ce`, `soft_ce` or `mse`; `quick`, for a check in seconds.
"""

from configs import arguments, base, semi_supervised
from configs.base import Config


def get_config(argument: str = "") -> Config:
    config = base.get_config()
    config.name = "digits_ssl"
    config.data.source = "digits"
    config.data.num_labels = 40
    config.data.crop_padding = 1
    config.data.crop_fill = "reflect"
    config.model.name = "wide_resnet_10_1"
    config.epochs = 6
    config.steps_per_epoch = 100
    config.batch_size = 16
    config.optimizer.learning_rate = 0.03
    config.optimizer.nesterov = True
    config.unlabelled.ratio = 4
    config.log_every = 50
    rest = semi_supervised.apply(config, argument)
    if config.recipe == "fixmatch":
        config.unlabelled.threshold = 0.8
    if config.loss.name in ("ikl", "gkl"):
        config.loss.alpha, config.loss.beta = 1.0, 1.0
    return arguments.vary(config, rest, {"quick": _quick})


def _quick(config: Config, _: str) -> None:
    semi_supervised.shrink(config)
