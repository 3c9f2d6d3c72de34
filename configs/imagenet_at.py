"""Adversarial training of ImageNet with IKL, l-infinity at epsilon 4/255, ResNet-50.

    python -m train --config=configs/imagenet_at.py --workdir=runs/imagenet_at \
        --config.data.source=folder:/data/imagenet --config.data.test_split=val
    python -m train.evaluate --workdir=runs/imagenet_at --attack=autoattack \
        --num_examples=5000

`--plan` in place of the workdir tells what it will cost. Nothing of the kind is
published for IKL: all of this is chosen by us, by what is usual for TRADES there (three
steps of two thirds of epsilon from a uniform start) and by the authors' CIFAR-100 rows
(alpha, beta, temperature). Rows: `ikl`, `trades`. `quick`: one epoch of a ResNet-18 on
small images, for a check.
"""

from configs import adversarial as at
from configs import arguments, base, imagenet_distill
from configs.adversarial import Row
from configs.base import Config

OURS = ("–", "all")
ROWS = {
    "ikl": Row(
        "IKL, ResNet-50, ε 4/255", at.decoupled(20, 4, 4), None, None, *OURS
    ),
    "trades": Row("TRADES, ResNet-50, ε 4/255", at.trades(6.0), None, None, *OURS),
}  # fmt: skip


def get_config(argument: str = "") -> Config:
    chosen = arguments.choose(argument, row=ROWS, size=at.SIZES)
    config = base.get_config()
    config.name = f"imagenet_at:{argument}".removesuffix(":")
    imagenet_distill.images(config)
    config.data.source = "tfds:imagenet2012"
    config.data.test_split = "validation"
    config.model.name = "imagenet_resnet50"
    config.model.dtype = "bfloat16"
    config.epochs = 100
    config.batch_size = 512
    config.log_every = 100
    config.optimizer.learning_rate = 0.2
    config.optimizer.weight_decay = 1e-4
    config.optimizer.warmup = 0.05
    config.attack.epsilon = 4 / 255
    config.attack.steps = 3
    config.attack.relative_step_size = 2 / 3
    config.attack.start = "uniform"
    config.averaging.every = "step"
    config.averaging.decay = 0.9998
    config.evaluation.every = 10
    config.evaluation.during_training = 5000
    ROWS[chosen["row"]].settings(config)
    if chosen["size"] == "quick":
        imagenet_distill.quick(config)
        config.model.name = "imagenet_resnet18"
        config.attack.steps = 1
        config.evaluation.steps = 1
    return config
