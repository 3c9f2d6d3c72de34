"""Which configs the semi-supervised recipes can use, and the stream of images."""

from collections.abc import Mapping

from ikl_jax import checks
from train.base import fields
from train.base.config import Config
from train.base.errors import UserError, explained
from train.data.augment import views
from train.data.pipeline import Stream
from train.data.splits import DataSet
from train.recipes.semi_supervised.consistency import CONSISTENCIES
from train.recipes.semi_supervised.passes import PLANS

GRADIENTS = ("strong", "both")
STATISTICS = ("running", "batch")


def streams(data: DataSet, config: Config) -> Mapping[str, Stream]:
    """The unlabelled images in their weak and strong views; their labels withheld.

    Raises:
      UserError: all training examples are labelled.
    """
    unlabelled = config.unlabelled
    if data.unlabelled is None:
        raise UserError(
            f"recipe={config.recipe} needs data.num_labels > 0 or data.label_list, "
            "which say which training examples are labelled"
        )
    view = views.View(
        unlabelled.strong_view, largest_square=unlabelled.cutout,
        operations=unlabelled.operations, magnitude=unlabelled.magnitude,
    )  # fmt: skip
    size = unlabelled.ratio * config.batch_size
    return {
        "unlabelled": Stream(
            data.unlabelled, config.data, size, labelled=False, withheld=True, view=view
        )
    }


def check(config: Config) -> None:
    """Raises `UserError` for values that no semi-supervised recipe can use."""
    unlabelled = config.unlabelled
    with explained():
        known = [name for name in views.VIEWS if name != views.NONE]
        checks.one_of("unlabelled.strong_view", unlabelled.strong_view, known)
    fields.one_of(
        "unlabelled", unlabelled, gradient=GRADIENTS, passes=PLANS,
        teacher_batch_norm=STATISTICS,
    )  # fmt: skip
    fields.positive(
        "unlabelled", unlabelled, "ratio", "operations", "target_temperature"
    )
    fields.shares("unlabelled", unlabelled, "cutout", "threshold", "warmup")
    with explained():
        checks.within(0, 30, **{"unlabelled.magnitude": unlabelled.magnitude})
    _check_weights(config)
    _check_gradient(config)
    _check_others(config)


def _check_weights(config: Config) -> None:
    loss = config.loss
    if loss.weights == "class_means" and CONSISTENCIES[loss.name].weights == "none":
        raise UserError(
            "loss.weights must be sample for a consistency without weights, got "
            f"class_means for loss.name={loss.name}"
        )


def _check_gradient(config: Config) -> None:
    loss = config.loss
    if (
        config.unlabelled.gradient == "both"
        and not CONSISTENCIES[loss.name].moves_target
    ):
        able = ", ".join(sorted(n for n, c in CONSISTENCIES.items() if c.moves_target))
        raise UserError(
            "unlabelled.gradient=both needs a consistency that gives its target "
            f"gradient ({able}), got loss.name={loss.name}"
        )


def _check_others(config: Config) -> None:
    """Fields of other sections, whose other values would have no or no good effect."""
    recipe = f"recipe={config.recipe}"
    averaging = config.averaging
    if averaging.every != "none" and averaging.decay == 1:
        raise UserError(
            "averaging.decay must be below 1, where the average would never change, "
            "got 1"
        )
    if not config.steps_per_epoch:
        raise UserError(
            f"{recipe} needs steps_per_epoch > 0, got 0: a pass over the few labelled "
            "examples is no useful length"
        )
    if config.accumulate > 1:
        raise UserError(
            f"{recipe} computes its passes on the whole batch: accumulate must be 1, "
            f"got {config.accumulate}"
        )
    if config.loss.warmup_epochs:
        raise UserError(
            f"loss.warmup_epochs must be 0 for {recipe}, which reads "
            f"unlabelled.warmup, got {config.loss.warmup_epochs}"
        )
