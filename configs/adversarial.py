"""What the published adversarial recipes share: what a row is, and their settings.

`cifar100_at`, `cifar10_at` and `imagenet_at` have the rows themselves.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from configs import arguments, base
from configs.base import Config

Normalize = tuple[tuple[float, ...], ...]
SCHEDULES = ("published", "intended")
SIZES = ("full", "quick")
# What is not published of the rows with a second view, with synthetic images, and with
# more than 1M of them.
VIEWS = "side of Cutout's square, policy"
SYNTHETIC = "loss of the attack, no AWP"
LARGER = f"epochs, batch size, {SYNTHETIC}"


class Row(NamedTuple):
    """One published experiment, or one of ours where `source` says so.

    Attributes:
      about: what is trained, in a few words.
      settings: changes the config.
      natural, robust: published accuracy in %, the latter by AutoAttack; None: none.
      source: where they were published.
      chosen: which of the settings are not published and were chosen by us, or "all".
    """

    about: str
    settings: Callable[[Config], None]
    natural: float | None
    robust: float | None
    source: str
    chosen: str = "–"


def decoupled(
    alpha: float, beta: float, temperature: float, gamma: float | None = None
) -> Callable[[Config], None]:
    """IKL's numbers, or GKL's if there is a gamma; alpha weighs the squared error."""

    def settings(config: Config) -> None:
        config.loss.name = "ikl" if gamma is None else "gkl"
        config.loss.alpha, config.loss.beta = alpha, beta
        config.loss.gamma = 1.0 if gamma is None else gamma
        config.loss.weight_temperature = temperature

    return settings


def second_view(
    weight: float, then: Callable[[Config], None]
) -> Callable[[Config], None]:
    """Adds a second view of each image, by AutoAugment, with that weight."""

    def settings(config: Config) -> None:
        then(config)
        config.data.second_view = "auto_augment"
        config.data.second_view_cutout = 16
        config.loss.second_view_weight = weight

    return settings


def cifar(
    name: str, rows: Mapping[str, Row], argument: str, *, attack_alpha: float
) -> Config:
    """The config of a row of CIFAR-10's or CIFAR-100's."""
    chosen = arguments.choose(argument, row=rows, schedule=SCHEDULES, size=SIZES)
    config = base.get_config()
    config.name = f"{name}_at:{argument}".removesuffix(":")
    config.data.source = f"tfds:{name}"
    _wide_resnet_34_10(config)
    config.attack.alpha = attack_alpha
    rows[chosen["row"]].settings(config)
    if chosen["schedule"] == "intended":
        _intended(config)
    if chosen["size"] == "quick":
        _quick(config)
    return config


def _wide_resnet_34_10(config: Config) -> None:
    """The authors' settings of all rows on WideResNet-34-10."""
    config.data.crop_padding = 4
    config.data.flip = True
    config.data.drop_remainder = False
    config.model.name = "wide_resnet_34_10"
    config.model.bn_groups = 4
    config.epochs = 200
    config.batch_size = 128
    config.log_every = 50
    config.optimizer.learning_rate = 0.2
    config.optimizer.decay_vectors = True
    config.optimizer.schedule = "cosine_per_epoch"
    config.attack.steps = 5
    config.attack.relative_step_size = 0.5
    config.attack.epsilon_ramp = 1.0
    config.awp.gamma = 0.005
    config.awp.start_epoch = 9
    config.awp.decay_perturbed = True
    config.averaging.every = "epoch"
    config.averaging.decay = 0.9
    config.averaging.warmup = False
    config.evaluation.every = 10


def _intended(config: Config) -> None:
    """Two to five steps of the attack, each in a quarter of the epochs."""
    if config.attack.steps != 5:
        raise ValueError(
            "intended is for the rows whose attack has 5 steps, got "
            f"{config.name!r}, whose attack has {config.attack.steps}"
        )
    config.attack.first_steps = 2


def trades(strength: float) -> Callable[[Config], None]:
    """KL in place of IKL, in the attack too; all else stays."""

    def settings(config: Config) -> None:
        config.loss.name, config.loss.strength = "kl", strength
        config.attack.loss = "kl"

    return settings


def authors_trades(strength: float) -> Callable[[Config], None]:
    """TRADES as in the authors' script, with its schedule and its averages."""

    def settings(config: Config) -> None:
        trades(strength)(config)
        config.data.drop_remainder = True
        config.optimizer.schedule = "cosine_from_peak_per_epoch"
        config.averaging.every = "step"
        config.averaging.decay = 0.9996
        config.averaging.start_epoch = 149

    return settings


def awp_trades(config: Config) -> None:
    """TRADES with AWP as published before: no ramp, ten steps of 2/255."""
    trades(6.0)(config)
    config.attack.steps = 10
    config.attack.relative_step_size = 0.25
    config.attack.epsilon_ramp = 0.0
    config.optimizer.learning_rate = 0.1
    config.optimizer.schedule = "step"
    # From the epochs 100 and 150 on, of 200, where the first is 1.
    config.optimizer.milestones = (0.495, 0.745)
    config.batch_norm.updates = ("adversarial", "natural")
    config.averaging.every = "none"


def synthetic(
    images: str, numbers: Callable[[Config], None], normalize: Normalize = ()
) -> Callable[[Config], None]:
    """The recipe of Wang et al. 2023, https://arxiv.org/abs/2302.04638, with IKL.

    `images` is the folder; `normalize` empty for CIFAR-10's statistics.
    """

    def settings(config: Config) -> None:
        numbers(config)
        config.data.synthetic = images
        config.data.synthetic_ratio = 0.7
        config.model.name = "wide_resnet_swish_28_10"
        config.model.normalize = normalize
        config.model.bn_groups = 1
        config.model.bn_momentum = 0.01
        config.epochs = 400
        config.batch_size = 512
        config.optimizer.nesterov = True
        config.optimizer.cycle_momentum = True
        config.optimizer.decay_vectors = False
        config.optimizer.schedule = "one_cycle_per_epoch"
        config.optimizer.warmup = 0.025
        config.loss.label_smoothing = 0.1
        config.attack.steps = 10
        config.attack.relative_step_size = 0.25
        config.attack.epsilon_ramp = 0.0
        config.attack.start = "uniform"
        config.batch_norm.attack = "batch"
        config.batch_norm.updates = ("natural", "adversarial")
        config.awp.gamma = 0.0
        config.awp.decay_perturbed = False
        config.averaging.every = "step"
        config.averaging.decay = 0.995
        config.averaging.warmup = True
        config.averaging.start_epoch = 10
        config.averaging.batch_norm = "copied"

    return settings


def _quick(config: Config) -> None:
    """A small network and one epoch, with AWP and averaging from its start."""
    base.shrink(config)
    swish = "_swish" if "swish" in config.model.name else ""
    config.model.name = f"wide_resnet{swish}_10_1"
    config.attack.steps = min(config.attack.steps, 2)
    config.attack.first_steps = min(config.attack.first_steps, 1)
    config.awp.start_epoch = 0
    config.averaging.start_epoch = 0
    config.evaluation.steps = 2
