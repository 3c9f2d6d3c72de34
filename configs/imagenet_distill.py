"""The published distillation of ImageNet, two pairs, by KD, DKD, IKL or GKL.

    python -m train.convert --weights=resnet34.pth --model=imagenet_resnet34 \
        --output=resnet34.npz --mean=0.485,0.456,0.406 --std=0.229,0.224,0.225
    python -m train --config=configs/imagenet_distill.py:resnet34-resnet18,ikl \
        --workdir=runs/resnet18_ikl --config.teacher.path=resnet34.npz

Teachers are torchvision's checkpoints. Images are TFDS's imagenet2012; for folders of
them, `--config.data.source=folder:DIR --config.data.test_split=val`. `PAIR,alone`
trains the student without a teacher. `quick`: one epoch, small images, for a check.

Published top-1 accuracy (the authors' README; of the best epoch on the validation
images, one run; `result.json` has the last epoch's):

| pair                 |    KD |   DKD |   IKL |   GKL |
|----------------------|-------|-------|-------|-------|
| resnet34-resnet18    | 71.03 | 71.70 | 71.91 | 71.91 |
| resnet50-mobilenetv1 | 70.50 | 72.05 | 72.84 | 72.92 |

Kept of the authors' settings: BatchNorm over eight parts of the batch, as on their
eight GPUs. Mended: an epoch's last, incomplete batch is left out, and GKL divides by
the mean over the whole batch, where theirs is that of each GPU's part.
"""

from typing import NamedTuple

from configs import arguments, base
from configs.base import Config

NORMALIZE = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Pair(NamedTuple):
    """`alpha`, of the weighted squared error, and `beta` are named as in the paper."""

    dkd_beta: float
    alpha: float
    beta: float
    gamma: float


PAIRS = {
    "resnet34-resnet18": Pair(0.5, 0.5, 1.0, 0.6),
    "resnet50-mobilenetv1": Pair(2.0, 1.0, 4.0, 0.5),
}


def get_config(argument: str = "") -> Config:
    chosen = arguments.choose(
        argument, pair=PAIRS, loss=("ikl", "gkl", "dkd", "kd"),
        role=("student", "alone"), size=("full", "quick"),
    )  # fmt: skip
    _, student = chosen["pair"].split("-")
    config = base.get_config()
    config.name = f"imagenet_distill:{argument}".removesuffix(":")
    config.recipe = "distillation" if chosen["role"] == "student" else "supervised"
    images(config)
    config.data.source = "tfds:imagenet2012"
    config.data.test_split = "validation"
    config.model.name = f"imagenet_{student}"
    config.model.bn_groups = 8
    config.epochs = 100
    config.batch_size = 512
    config.log_every = 100
    config.optimizer.learning_rate = 0.2
    config.optimizer.weight_decay = 1e-4
    config.optimizer.decay_vectors = True
    config.optimizer.schedule = "step"
    config.optimizer.milestones = (0.3, 0.6, 0.9)
    config.evaluation.every = 5
    config.evaluation.restarts = 0
    config.evaluation.during_training = 50_000
    _loss(config, chosen["loss"], PAIRS[chosen["pair"]])
    if chosen["size"] == "quick":
        quick(config)
    return config


def images(config: Config) -> None:
    """Random parts of 224 x 224 to train on, the centre's to evaluate."""
    config.data.image_size = 224
    config.data.resize_shorter = 256
    config.data.random_resized_crop = True
    config.data.flip = True
    config.data.threads = 16
    config.model.normalize = NORMALIZE


def quick(config: Config) -> None:
    base.shrink(config)
    config.data.image_size = 32
    config.data.resize_shorter = 72
    config.data.threads = 2


def _loss(config: Config, name: str, pair: Pair) -> None:
    loss = config.loss
    loss.name = name
    loss.temperature = loss.weight_temperature = 1.0
    if name == "kd":
        loss.strength, loss.cross_entropy = 0.5, 0.5
        return
    if name == "dkd":
        loss.warmup_epochs = 1
        loss.alpha, loss.beta = 1.0, pair.dkd_beta
        return
    loss.warmup_epochs = 1 if name == "ikl" else 5
    loss.alpha, loss.beta, loss.gamma = pair.alpha, pair.beta, pair.gamma
    loss.weights = "class_means"
