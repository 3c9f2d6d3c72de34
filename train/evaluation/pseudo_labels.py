"""Labels that a network gives to images without labels, for training on both.

References:
  Carmon et al., "Unlabeled Data Improves Adversarial Robustness",
  https://arxiv.org/abs/1905.13736, 2019.
  Uesato et al., "Are Labels Required for Improving Adversarial Robustness?",
  https://arxiv.org/abs/1905.13725, 2019.
"""

import dataclasses
import json
from typing import Any, NamedTuple

import jax.nn
import numpy as np

from train.base import files
from train.base.errors import UserError
from train.base.types import Batch
from train.data import fingerprint
from train.data.splits import OneForm, Split
from train.evaluation import outputs
from train.evaluation.outputs import OutputsPass
from train.evaluation.target import Target


class PseudoLabelled(NamedTuple):
    """Images with labels that a network gave them.

    Attributes:
      images: uint8 `[N, H, W, K]`.
      labels: `[N]`, the most likely class of each.
      confidences: `[N]`, the probability of this class.
      considered: how many images there were, with those that are left out.
    """

    images: np.ndarray
    labels: np.ndarray
    confidences: np.ndarray
    considered: int


@dataclasses.dataclass(frozen=True)
class WithoutLabels(OneForm):
    """The images of a split, whose labels nobody can read: all are 0."""

    split: Split

    def __len__(self) -> int:
        return len(self.split)

    @property
    def labels(self) -> np.ndarray:
        return np.zeros(len(self), np.int32)

    def take(self, indices: np.ndarray) -> Batch:
        images = self.split.take(indices)["image"]
        return {"image": images, "label": np.zeros(len(indices), np.int32)}


def of(target: Target, images: Split, threshold: float) -> PseudoLabelled:
    """The most likely class of each image, for those where it is likely enough.

    Args:
      target: the network.
      images: a split, whose labels are not read.
      threshold: in [0, 1): the least probability of a class that is kept.

    Raises:
      UserError: no class reaches the threshold.
    """
    unread = WithoutLabels(images)
    compute = OutputsPass(
        target.model, unread, target.mesh, num_classes=target.data.num_classes,
        batch_size=target.config.evaluation.batch_size,
    )  # fmt: skip
    found = outputs.joined(compute(target.weights))
    confidences = np.asarray(jax.nn.softmax(found.logits)).max(axis=1)
    kept = np.flatnonzero(confidences >= threshold)
    if not len(kept):
        raise UserError(
            f"no image has a class of probability {threshold:g} or more (--threshold): "
            f"the largest is {confidences.max():.4g}"
        )
    taken = unread.take(kept)["image"]
    return PseudoLabelled(
        taken, found.predicted[kept].astype(np.int64), confidences[kept], len(unread)
    )


def write(path: files.Path, found: PseudoLabelled, about: dict[str, Any]) -> None:
    """Writes a part as `train.convert_synthetic` reads it, whole or not at all.

    Raises:
      UserError: it cannot be written.
    """
    with files.whole(path) as file:
        np.savez(
            file, image=found.images, label=found.labels,
            confidence=found.confidences.astype(np.float32),
            about=np.asarray(json.dumps(about)),
        )  # fmt: skip


def about(target: Target, images: Split, threshold: float) -> dict[str, Any]:
    """What the labels depend on; no place on this machine is in it."""
    return {
        "teacher": target.identity,
        "weights_checksum": target.weights_checksum,
        "images": fingerprint.of_split(WithoutLabels(images)),
        "threshold": threshold,
    }
