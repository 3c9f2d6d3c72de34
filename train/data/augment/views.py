"""A second view of an image: the operations of a policy, then Cutout.

What is random is drawn for the whole batch, and each process applies it to its rows.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from train.base.config import DataConfig
from train.base.errors import UserError
from train.data.augment import auto_augment, cutout, policy, rand_augment

NONE = "none"
GREY = 127  # the level of squares whose side is random


@dataclasses.dataclass(frozen=True)
class View:
    """How a second view is made.

    Attributes:
      policy: a name in `VIEWS`.
      square: side of a black square in pixels; 0: none.
      largest_square: the largest side of a grey square, as a share of the width; each
        image has a side of its own, drawn uniformly from 0. 0: no square.
      operations: for an image, of both kinds of RandAugment.
      magnitude: of `rand_augment`, from 0 to 30.
    """

    policy: str
    square: int = 0
    largest_square: float = 0.0
    operations: int = 2
    magnitude: int = 9


class Drawn(NamedTuple):
    """What is drawn for each image of a batch.

    Attributes:
      steps: `[B, S]` of `policy.STEP`.
      centres: `[B, 2]`, of the squares that Cutout covers.
      sides: `[B]`, of the grey squares, as shares of the width.
    """

    steps: np.ndarray
    centres: np.ndarray
    sides: np.ndarray

    def of_rows(self, rows: np.ndarray) -> "Drawn":
        return Drawn(self.steps[rows], self.centres[rows], self.sides[rows])


def of(data_config: DataConfig) -> View | None:
    """The view that `data.second_view` names; None if it names none."""
    if data_config.second_view == NONE:
        return None
    return View(data_config.second_view, data_config.second_view_cutout)


def check(
    view: View, image_shape: tuple[int, int, int], name: str, data_config: DataConfig
) -> None:
    """Raises `UserError`, with the field's `name`, if images cannot have this view."""
    if VIEWS[view.policy] is _no_steps:
        return
    try:
        policy.check(np.zeros((1, *image_shape), np.uint8))
    except UserError as error:
        raise UserError(
            f"{name} cannot transform the images of {data_config.source}: {error}"
        ) from error


def draw(view: View, count: int, rng: np.random.Generator) -> Drawn:
    """Draws what the second views of a batch of `count` images need."""
    steps = VIEWS[view.policy](view, count, rng)
    centres = cutout.random_centres(count, rng)
    return Drawn(steps, centres, cutout.random_sides(count, view.largest_square, rng))


def apply(view: View, images: np.ndarray, drawn: Drawn) -> np.ndarray:
    """The images, uint8 `[B, H, W, K]`, transformed by what was drawn for them."""
    images = policy.transform(images, drawn.steps) if drawn.steps.size else images
    if view.square:
        images = cutout.cutout(images, drawn.centres, view.square)
    if view.largest_square:
        sides = cutout.lengths(drawn.sides, images.shape[2])
        images = cutout.cutout(images, drawn.centres, sides, fill=GREY)
    return images


def _no_steps(view: View, count: int, rng: np.random.Generator) -> np.ndarray:
    return np.empty((count, 0), policy.STEP)


def _auto_augment(view: View, count: int, rng: np.random.Generator) -> np.ndarray:
    return auto_augment.random_steps(count, rng)


def _rand_augment(view: View, count: int, rng: np.random.Generator) -> np.ndarray:
    return rand_augment.random_steps(
        count, rng, num_ops=view.operations, magnitude=view.magnitude
    )


def _uniform(view: View, count: int, rng: np.random.Generator) -> np.ndarray:
    return rand_augment.random_fixmatch_steps(count, rng, num_ops=view.operations)


VIEWS: dict[str, Callable[[View, int, np.random.Generator], np.ndarray]] = {
    NONE: _no_steps,
    "plain": _no_steps,
    "auto_augment": _auto_augment,
    "rand_augment": _rand_augment,
    "uniform_rand_augment": _uniform,
}
