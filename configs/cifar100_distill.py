"""The published distillation of CIFAR-100: eleven pairs, by KD, DKD, IKL or GKL.

    python -m train.convert --weights=resnet32x4_vanilla/ckpt_epoch_240.pth \
        --model=cifar_resnet32x4 --output=resnet32x4.npz \
        --mean=0.5071,0.4867,0.4408 --std=0.2675,0.2565,0.2761
    python -m train --config=configs/cifar100_distill.py:resnet32x4-resnet8x4,ikl \
        --workdir=runs/resnet8x4_ikl --config.teacher.path=resnet32x4.npz \
        --config.data.source=cifar100:/data/cifar-100-python

Teachers are mdistiller's checkpoints; or `PAIR,teacher` trains one by the same
schedule, whose workdir is then the `teacher.path`. `PAIR,alone` trains the student
without one. `quick`: one epoch, for a check on little data.

Published accuracy (mdistiller's; of the best epoch on the test images, one run;
`result.json` has the last epoch's). That of IKL and GKL is in the papers alone, not
beside the authors' settings, and was not at hand.

| pair                 |    KD |   DKD | | pair                 |    KD |   DKD |
|----------------------|-------|-------|-|----------------------|-------|-------|
| resnet56-resnet20    | 70.66 | 71.97 | | resnet32x4-shufflev1 | 74.07 | 76.45 |
| resnet110-resnet32   | 73.08 | 74.11 | | wrn_40_2-shufflev1   | 74.83 | 76.70 |
| resnet32x4-resnet8x4 | 73.33 | 76.32 | | vgg13-mobilenetv2    | 67.37 | 69.71 |
| wrn_40_2-wrn_16_2    | 74.92 | 76.23 | | resnet50-mobilenetv2 | 67.35 | 70.35 |
| wrn_40_2-wrn_40_1    | 73.54 | 74.81 | | resnet32x4-shufflev2 | 74.45 | 77.07 |
| vgg13-vgg8           | 72.98 | 74.68 | |                      |       |       |

Kept of the authors' settings: IKL's weights are each example's at temperature 100, all
but uniform, so class means play no part in it; GKL's are of either kind, by pair.
Mended: vgg13-vgg8 by KD has its share of the cross-entropy, which the authors' file
takes of the teacher's logits, where it moves no student.
"""

from typing import NamedTuple

from configs import arguments, base
from configs.base import Config

NORMALIZE = ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))


class Decoupled(NamedTuple):
    """Numbers of IKL or GKL, named as in the paper: the authors' code swaps them."""

    alpha: float  # of the weighted squared error
    beta: float  # of the soft cross-entropy
    gamma: float = 1.0
    weights: str = "sample"


class Pair(NamedTuple):
    learning_rate: float
    dkd_beta: float
    ikl: Decoupled
    gkl: Decoupled


_CLASSES = "class_means"
PAIRS = {
    "resnet32x4-resnet8x4": Pair(
        0.05, 8, Decoupled(8, 1), Decoupled(16, 1, 0.05, _CLASSES)
    ),
    "resnet56-resnet20": Pair(0.05, 2, Decoupled(4, 1), Decoupled(4, 1, 0.2, _CLASSES)),
    "resnet110-resnet32": Pair(0.05, 2, Decoupled(12, 1), Decoupled(4, 1, 0.1)),
    "wrn_40_2-wrn_16_2": Pair(0.05, 6, Decoupled(12, 3), Decoupled(20, 3, 0.3)),
    "wrn_40_2-wrn_40_1": Pair(0.05, 6, Decoupled(8, 1), Decoupled(12, 1, 0.3)),
    "vgg13-vgg8": Pair(0.05, 6, Decoupled(12, 1), Decoupled(8, 1, 0.2, _CLASSES)),
    "resnet32x4-shufflev1": Pair(
        0.01, 8, Decoupled(8, 1), Decoupled(8, 1, 0.0, _CLASSES)
    ),
    "wrn_40_2-shufflev1": Pair(0.01, 8, Decoupled(4, 1), Decoupled(8, 1, 0.0)),
    "vgg13-mobilenetv2": Pair(
        0.01, 6, Decoupled(12, 4), Decoupled(12, 4, 0.1, _CLASSES)
    ),
    "resnet50-mobilenetv2": Pair(
        0.01, 8, Decoupled(12, 1), Decoupled(8, 1, 0.05, _CLASSES)
    ),
    "resnet32x4-shufflev2": Pair(
        0.01, 8, Decoupled(12, 3), Decoupled(12, 3, 0.1, _CLASSES)
    ),
}


def get_config(argument: str = "") -> Config:
    chosen = arguments.choose(
        argument, pair=PAIRS, loss=("ikl", "gkl", "dkd", "kd"),
        role=("student", "teacher", "alone"), size=("full", "quick"),
    )  # fmt: skip
    pair = PAIRS[chosen["pair"]]
    teacher, student = chosen["pair"].split("-")
    config = base.get_config()
    config.name = f"cifar100_distill:{argument}".removesuffix(":")
    config.recipe = "distillation" if chosen["role"] == "student" else "supervised"
    config.data.source = "tfds:cifar100"
    config.data.crop_padding = 4
    config.data.flip = True
    config.data.drop_remainder = False
    config.model.name = f"cifar_{teacher if chosen['role'] == 'teacher' else student}"
    config.model.normalize = NORMALIZE
    config.epochs = 240
    config.batch_size = 64
    config.log_every = 100
    config.checkpoint_every = 10
    learning_rate = 0.05 if chosen["role"] == "teacher" else pair.learning_rate
    config.optimizer.learning_rate = learning_rate
    config.optimizer.decay_vectors = True
    config.optimizer.schedule = "step"
    config.optimizer.milestones = (150 / 240, 180 / 240, 210 / 240)
    config.evaluation.every = 10
    config.evaluation.restarts = 0
    config.evaluation.during_training = 10_000
    _loss(config, chosen["loss"], pair)
    if chosen["size"] == "quick":
        base.shrink(config)
    return config


def _loss(config: Config, name: str, pair: Pair) -> None:
    loss = config.loss
    loss.name = name
    loss.temperature = 4.0
    if name == "kd":
        loss.strength, loss.cross_entropy = 0.9, 0.1
        return
    loss.warmup_epochs = 20
    if name == "dkd":
        loss.alpha, loss.beta = 1.0, pair.dkd_beta
        return
    numbers = pair.ikl if name == "ikl" else pair.gkl
    loss.alpha, loss.beta, loss.gamma, loss.weights = numbers
    loss.weight_temperature = 100.0 if name == "ikl" else 4.0
