"""Reads the examples of a batch and augments them.

What is random is drawn for the whole batch, and each process applies its own rows of
it. So an example's augmentation does not depend on the number of processes.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from train.base.config import DataConfig
from train.base.types import Batch
from train.data.augment import crops, views

# From the size of a batch to the rows of it that one process reads.
Rows = Callable[[int], np.ndarray]


def all_rows(size: int) -> np.ndarray:
    """All rows of a batch, which one process reads if it is the only one."""
    return np.arange(size)


class TrainingPart(Protocol):
    """A `Split` or a `Mixture`, of which only the training form is read."""

    def take_training(
        self, indices: np.ndarray, crops: np.ndarray | None = None
    ) -> Batch: ...


@dataclasses.dataclass(frozen=True)
class Reader:
    """Called with a batch's indices, reads this process's rows of that batch.

    Attributes:
      part: the examples.
      data_config: says how images are augmented.
      rows: which rows of a batch this process reads.
      columns: arrays with a row for each example of the part; their rows are added to
        the batch under the same names.
      view: the second view of each image; None: images have no second view.
    """

    part: TrainingPart
    data_config: DataConfig
    rows: Rows = all_rows
    columns: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    view: views.View | None = None

    def __call__(self, indices: np.ndarray, rng: np.random.Generator) -> Batch:
        """The rows of the batch of `indices`; `rng` is the batch's own generator."""
        mine = self.rows(len(indices))
        batch = self._taken(indices, mine, rng)
        images = batch["image"]
        batch["image"] = self._moved(images, len(indices), mine, rng)
        if self.view is not None:
            second = self._second_view(self.view, images, indices, mine, rng)
            batch["second_view"] = second
        for name, array in self.columns.items():
            batch[name] = array[indices[mine]]
        return batch

    def _taken(
        self, indices: np.ndarray, mine: np.ndarray, rng: np.random.Generator
    ) -> Batch:
        boxes = None
        if self.data_config.random_resized_crop:
            boxes = crops.random_crops(len(indices), rng)[mine]
        return self.part.take_training(indices[mine], boxes)

    def _moved(
        self, images: np.ndarray, count: int, mine: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Images of the rows `mine` of `count`, shifted and mirrored at random."""
        if padding := self.data_config.crop_padding:
            shifts = crops.random_shifts(count, padding, rng)[:, mine]
            fill = self.data_config.crop_fill
            images = crops.pad_crop(images, padding, shifts, fill)
        if self.data_config.flip:
            images = crops.flip(images, crops.random_mirrors(count, rng)[mine])
        return images

    def _second_view(
        self,
        view: views.View,
        images: np.ndarray,
        indices: np.ndarray,
        mine: np.ndarray,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """`images`, or for random crops the same files again, augmented once more."""
        if self.data_config.random_resized_crop:  # which is a part of reading a file
            images = self._taken(indices, mine, rng)["image"]
        images = self._moved(images, len(indices), mine, rng)
        drawn = views.draw(view, len(indices), rng).of_rows(mine)
        return views.apply(view, images, drawn)
