"""What each part of IKL-AT is worth, on Fashion-MNIST at l-infinity epsilon 0.1.

    python -m train --config=configs/fashion_mnist_ablation.py:ikl --workdir=runs/ikl
    python benchmarks/fashion_mnist_ablation.py

A WideResNet-10-1 on 8,000 of the training images. Losses: `dkl` (the sample's weights,
the adversarial logits stopped in the squared error), `class_wise_dkl`, `sample_ikl`
(neither stopped), `ikl` (both changes). Also `alpha4`, at which `dkl` is four times KL,
`no_ramp` and `no_awp`, which leave these out, and `quick`.
"""

from configs import arguments, base
from configs.base import Config

LOSSES = {
    "ikl": ("ikl", "class_means"),
    "sample_ikl": ("ikl", "sample"),
    "class_wise_dkl": ("class_wise_dkl", "class_means"),
    "dkl": ("dkl", "sample"),
}


def get_config(argument: str = "") -> Config:
    chosen = arguments.choose(
        argument, loss=LOSSES, alpha=("alpha20", "alpha4"), ramp=("ramp", "no_ramp"),
        awp=("awp", "no_awp"), size=("full", "quick"),
    )  # fmt: skip
    config = base.get_config()
    config.name = f"fashion_mnist_ablation:{argument}".removesuffix(":")
    config.data.source = "idx:/usr/share/datasets/fashion-mnist"
    config.data.validation_size = 52_000  # of 60,000: what is held out is not used
    config.model.name = "wide_resnet_10_1"
    config.epochs = 3
    config.batch_size = 128
    config.optimizer.learning_rate = 0.1
    config.optimizer.warmup = 0.1
    config.loss.name, config.loss.weights = LOSSES[chosen["loss"]]
    # Published; in `dkl` the large alpha moves the natural logits alone.
    config.loss.alpha, config.loss.beta = 20.0, 4.0
    if chosen["alpha"] == "alpha4":
        config.loss.alpha = 4.0
    config.attack.epsilon = 0.1
    config.attack.steps = 5
    config.attack.relative_step_size = 0.4
    config.attack.loss = "cross_entropy"
    if chosen["ramp"] == "ramp":
        config.attack.epsilon_ramp = 1.0
    if chosen["awp"] == "awp":
        config.awp.gamma = 0.005
        config.awp.start_epoch = 1
    config.evaluation.every = 0
    config.evaluation.restarts = 0  # attacked by train.evaluate
    config.evaluation.batch_size = 250
    if chosen["size"] == "quick":
        config.epochs = 1
        config.batch_size = 64
        config.data.validation_size = 59_800
        config.awp.start_epoch = 0
    return config
