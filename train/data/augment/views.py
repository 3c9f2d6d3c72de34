"""A second view of each training image: the operations of a policy, then Cutout.

Operations are drawn for the whole batch, and each process applies those of its rows.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from train.base.config import DataConfig
from train.base.errors import UserError
from train.data.augment import auto_augment, cutout, policy, rand_augment

NONE = "none"


class Drawn(NamedTuple):
    """What is drawn for each image of a batch.

    Attributes:
      steps: `[B, S]` of `policy.STEP`.
      centres: `[B, 2]`, of the squares that Cutout covers.
    """

    steps: np.ndarray
    centres: np.ndarray

    def of_rows(self, rows: np.ndarray) -> "Drawn":
        return Drawn(self.steps[rows], self.centres[rows])


def check(data_config: DataConfig, image_shape: tuple[int, int, int]) -> None:
    """Raises `UserError` if `data.second_view` cannot be made from these images."""
    if data_config.second_view in (NONE, "plain"):
        return
    try:
        policy.check(np.zeros((1, *image_shape), np.uint8))
    except UserError as error:
        raise UserError(
            f"data.second_view={data_config.second_view} cannot transform the images "
            f"of {data_config.source}: {error}"
        ) from error


def draw(data_config: DataConfig, count: int, rng: np.random.Generator) -> Drawn:
    """Draws what the second views of a batch of `count` images need."""
    return Drawn(
        VIEWS[data_config.second_view](count, rng), cutout.random_centres(count, rng)
    )


def apply(data_config: DataConfig, images: np.ndarray, drawn: Drawn) -> np.ndarray:
    """The images, uint8 `[B, H, W, K]`, transformed by what was drawn for them."""
    images = policy.transform(images, drawn.steps) if drawn.steps.size else images
    if data_config.second_view_cutout:
        images = cutout.cutout(images, drawn.centres, data_config.second_view_cutout)
    return images


def _no_steps(count: int, rng: np.random.Generator) -> np.ndarray:
    return np.empty((count, 0), policy.STEP)


VIEWS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    NONE: _no_steps,
    "plain": _no_steps,
    "auto_augment": auto_augment.random_steps,
    "rand_augment": rand_augment.random_steps,
}
