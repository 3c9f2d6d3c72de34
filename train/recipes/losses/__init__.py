"""The registry of divergences: every one that is imported here, in every recipe.

A new divergence is a file beside this one that defines a `Divergence`, and a line here
that imports it.
"""
# ruff: noqa: F401

from train.base import fields, registry
from train.base.config import LossConfig
from train.recipes.losses.divergence import Coefficients, Divergence, Target
from train.recipes.losses.improved import GKL, IKL
from train.recipes.losses.knowledge_distillation import DKD, KD
from train.recipes.losses.kullback_leibler import CLASS_WISE_DKL, DKL, KL

# Names to divergences: `loss.name` in every recipe, and `attack.loss`.
DIVERGENCES: dict[str, Divergence] = registry.by_name(globals(), Divergence)


def check(loss: LossConfig) -> None:
    """Raises `UserError` for values that no recipe can use."""
    fields.one_of("loss", loss, weights=("class_means", "sample"))
    fields.positive("loss", loss, "temperature", "weight_temperature")
    fields.non_negative(
        "loss", loss, "cross_entropy", "strength", "alpha", "beta", "gamma",
        "warmup_epochs", "second_view_weight",
    )  # fmt: skip
    fields.shares("loss", loss, "class_means_momentum", "label_smoothing")


def with_class_means() -> str:
    """In words: the losses of a config that take their weights from the class means."""
    always, chosen = (
        " or ".join(sorted(d.name for d in DIVERGENCES.values() if d.weights == kind))
        for kind in ("class_means", "chosen")
    )
    return f"loss.name={always}, and for {chosen} with loss.weights=class_means"
