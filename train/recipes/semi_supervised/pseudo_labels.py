"""What a target says about unlabelled images: pseudo-labels, and which ones count."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ikl_jax import ClassMeans
from ikl_jax.types import Array
from train.base.config import LossConfig
from train.data.pipeline import WITHHELD
from train.recipes.recipe import Metrics, Share
from train.recipes.semi_supervised.consistency import CONSISTENCIES

LABELS = f"{WITHHELD}unlabelled_label"  # the column that no step is given


class PseudoLabels(NamedTuple):
    """Of the unlabelled images of a step; nothing here receives gradient.

    Attributes:
      label: `[N]`, the target's most likely class.
      mask: `[N]`, whether its probability, at temperature 1, reaches the threshold.
      weights: `[N, C]`, of the squared error; None: the consistency takes none.
    """

    label: Array
    mask: Array
    weights: Array | None

    @classmethod
    def of(
        cls,
        target: Array,
        threshold: float,
        loss: LossConfig,
        means: ClassMeans | None,
    ) -> "PseudoLabels":
        """Reads target logits `[N, C]`, and weights from class means if there are any.

        An image below the threshold has weights, too, but its consistency is masked.
        """
        target = jax.lax.stop_gradient(target)
        label = jnp.argmax(target, axis=-1)
        mask = jnp.max(jax.nn.softmax(target), axis=-1) >= threshold
        weights = None
        if means is not None:
            weights = means.weights_for(label)
        elif CONSISTENCIES[loss.name].weights != "none":
            weights = jax.nn.softmax(target / loss.weight_temperature)
        return cls(label, mask, weights)


def added(
    means: ClassMeans | None, target: Array, pseudo: PseudoLabels, loss: LossConfig
) -> ClassMeans | None:
    """The class means with the targets above the threshold added.

    A target is added to the row of its pseudo-label. Those below the threshold are in
    no row, and a class that no pseudo-label reaches in an epoch keeps its old row.
    """
    if means is None:
        return None
    return means.accumulate(
        target, pseudo.label, temperature=loss.weight_temperature, where=pseudo.mask
    )


def judge(metrics: Metrics, withheld: Mapping[str, Array]) -> Metrics:
    """The logged metrics of a step: its own, and how right its pseudo-labels were."""
    mask, label = metrics["mask"], metrics["pseudo_label"]
    logged = {name: metrics[name] for name in metrics if name != "pseudo_label"}
    logged["mask"] = jnp.mean(mask)
    if LABELS not in withheld:
        return logged
    right = label == withheld[LABELS]
    masked = Share(jnp.sum(right & mask), jnp.sum(mask))
    return logged | {
        "pseudo_label_accuracy": jnp.mean(right),
        "masked_pseudo_label_accuracy": masked,
    }
