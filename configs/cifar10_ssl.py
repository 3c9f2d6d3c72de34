"""The published semi-supervised learning of CIFAR-10: FixMatch on WideResNet-28-2.

    python -m train --config=configs/cifar10_ssl.py:fixmatch,ce,labels=40 \
        --workdir=runs/fixmatch --config.data.source=cifar10:/data/cifar-10-batches-py

Options: `fixmatch`, `mean_teacher`, or `supervised` for the labelled examples alone;
`ce`, `soft_ce`, `ikl`, `gkl`, `dkl`, `kl` or `mse`; `labels=N`, of which 40, 250 and
4000 were published; `quick`, a small network and four steps.

Published accuracy in % of `fixmatch,ce` (Sohn et al., 2020, https://arxiv.org/abs/
2001.07685, table 2, with RandAugment; five choices of labels; of each run the median of
the last 20 checkpoints, one every 2^16 images):

| labels=40    | labels=250   | labels=4000  |
|--------------|--------------|--------------|
| 86.19 ± 3.37 | 94.93 ± 0.65 | 95.74 ± 0.05 |

No accuracy is published of the other methods and losses in this setting, whose
strengths are those of USB's setting with ViTs (`configs/cifar100_ssl.py`) or chosen by
us.
Not as there: ReLU in place of leaky ReLU with a slope of 0.1; convolutions have no
biases; all training examples are unlabelled, where the authors' code keeps one for
validation.
"""

from configs import arguments, base, semi_supervised
from configs.base import Config

NORMALIZE = ((0.5,) * 3, (0.5,) * 3)  # to [-1, 1]


def get_config(argument: str = "") -> Config:
    config = base.get_config()
    config.data.source = "tfds:cifar10"
    config.data.num_labels = 40
    config.data.crop_padding = 4
    config.data.crop_fill = "reflect"
    config.data.flip = True
    config.model.name = "wide_resnet_28_2"
    config.model.normalize = NORMALIZE
    config.model.bn_momentum = 0.001
    config.epochs, config.steps_per_epoch = 1024, 1024
    config.batch_size, config.unlabelled.ratio = 64, 7
    config.optimizer.learning_rate = 0.03
    config.optimizer.nesterov = True
    config.optimizer.schedule = "cosine_7_16"
    config.log_every = 256
    config.checkpoint_every = 16
    config.evaluation.every = 16
    config.evaluation.during_training = 10_000
    rest = semi_supervised.apply(config, argument)
    config.averaging.decay, config.averaging.warmup = 0.999, False
    config.averaging.batch_norm = "copied"
    variants = {"labels": _labels, "quick": _quick}
    arguments.vary(config, rest, variants, valued=("labels",))
    config.name = f"cifar10_ssl:{argument}".removesuffix(":")
    return config


def _labels(config: Config, value: str) -> None:
    config.data.num_labels = int(arguments.number("labels", value))


def _quick(config: Config, _: str) -> None:
    semi_supervised.shrink(config)
    config.model.name = "wide_resnet_10_1"
