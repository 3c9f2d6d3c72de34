"""What goes into the forward passes of a step, and what comes out of them."""

from typing import Any, NamedTuple

from ikl_jax.types import Array, PyTree
from train.recipes.recipe import to_pixels


class Images(NamedTuple):
    """The images of a step in [0, 1], `[B, H, W, K]` or `[ratio * B, H, W, K]`.

    Attributes:
      labelled: B images.
      weak: the unlabelled images, cropped and mirrored at most.
      strong: the same images in the same order, as `unlabelled.strong_view` has them.
    """

    labelled: Array
    weak: Array
    strong: Array

    @classmethod
    def of(cls, batch: Any) -> "Images":
        columns = ("image", "unlabelled_image", "unlabelled_second_view")
        return cls(*(to_pixels(batch[name]) for name in columns))


class Branches(NamedTuple):
    """The logits of a step.

    Attributes:
      labelled: `[B, C]`, of the labelled images.
      target: `[ratio * B, C]`, what the strong views are to be like.
      prediction: `[ratio * B, C]`, of the strong views.
      batch_stats: the new running statistics of BatchNorm.
    """

    labelled: Array
    target: Array
    prediction: Array
    batch_stats: PyTree
