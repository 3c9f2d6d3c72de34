"""What the semi-supervised configs share: methods, losses, and their numbers."""

from configs import arguments
from configs.base import Config

METHODS = ("fixmatch", "mean_teacher", "supervised")
# alpha (of the squared error) and beta (of the soft cross-entropy) of each method.
# Those of IKL are the published ones (CIFAR-100 with 200 labels), whose files call them
# beta and alpha; GKL has them here, too.
LOSSES = {
    "ikl": {"fixmatch": (0.1, 1.0), "mean_teacher": (0.03, 0.02)},
    "gkl": {"fixmatch": (0.1, 1.0), "mean_teacher": (0.03, 0.02)},
    "dkl": {},
    "kl": {},
    "ce": {},
    "soft_ce": {},
    "mse": {},
}


def apply(config: Config, argument: str) -> str:
    """Applies the options METHOD and LOSS of a config's argument; returns the others.

    The method `supervised` trains on the labelled examples alone, in as many steps. The
    first method and the first loss are those of an argument that names none.
    """
    options = list(filter(None, argument.split(",")))
    ours, rest = arguments.divide(options, method=METHODS, loss=LOSSES)
    chosen = arguments.choose(",".join(ours), method=METHODS, loss=LOSSES)
    method, loss = chosen["method"], chosen["loss"]
    if method == "supervised" and len(ours) > 1:
        raise ValueError(f"supervised takes no consistency, got {argument!r}")
    config.recipe = method
    config.name += f":{method}"
    config.loss.weights = "sample"
    config.loss.temperature = config.loss.weight_temperature = 1.0
    if method != "supervised":
        config.name += f",{loss}"
        config.loss.name = loss
        config.loss.alpha, config.loss.beta = LOSSES[loss].get(method, (1.0, 1.0))
    if method == "mean_teacher":
        config.unlabelled.threshold = 0.0
        config.unlabelled.warmup = 0.4
        config.loss.strength = 50.0 if loss == "mse" else 1.0
    config.averaging.every = "step"
    config.averaging.decay = 0.99
    config.evaluation.restarts = 0
    return ",".join(rest)


def shrink(config: Config) -> None:
    """Four steps, for a check in seconds."""
    config.epochs, config.steps_per_epoch = 2, 2
    config.log_every = 1
    config.batch_size, config.unlabelled.ratio = 16, 2
    config.evaluation.batch_size, config.evaluation.during_training = 64, 64
