"""Splits of encoded images of any size, decoded side by side as they are read."""

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Protocol

import numpy as np
from PIL import Image

from train.base.config import DataConfig
from train.base.errors import UserError
from train.base.types import Batch
from train.data.formats import images
from train.data.replaced import ReplacedImages
from train.data.splits import DataSet


class Records(Protocol):
    """Encoded images and labels that threads can read in any order."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> tuple[bytes, int]:
        """The encoded image and its label; `UserError` if it cannot be read."""
        ...

    def name(self, index: int) -> str:
        """What messages call the image: its file, or its place in the split."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """All labels, `[N]`."""
        ...

    @property
    def files(self) -> list[str] | None:
        """CLASS/FILE of all images, if they are files."""
        ...

    def checksum(self, indices: np.ndarray) -> int:
        """Changes when what tells these examples apart without reading them does."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Encoded:
    """A split of encoded images.

    Attributes:
      records: what is decoded.
      data_config: the `data` section.
      pool: of the threads that decode.
      replaced: the training part's undecodable images.
      shape: (H, W, 3) that all must have where `data.image_size` is 0.
    """

    records: Records
    data_config: DataConfig
    pool: Executor
    replaced: ReplacedImages
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def labels(self) -> np.ndarray:
        return self.records.labels

    def take(self, indices: np.ndarray) -> Batch:
        """The examples in their evaluation form.

        Raises:
          UserError: one cannot be decoded, whatever `undecodable` is.
        """

        def read(row: int) -> tuple[Image.Image, int]:
            index = int(indices[row])
            try:
                return self._formed(index, None)
            except images.Undecodable as error:
                raise UserError(
                    f"{self.records.name(index)} cannot be decoded: {error}; no image "
                    "is left out where a model is evaluated, since scores on others "
                    "do not compare (data.undecodable is for training): mend it, or "
                    "remove it"
                ) from error

        return self._batch(read, len(indices))

    def take_training(
        self,
        indices: np.ndarray,
        crops: np.ndarray | None = None,
        among: np.ndarray | None = None,
    ) -> Batch:
        """The examples in their training form.

        Args:
          indices: `[B]`.
          crops: `[B, ATTEMPTS, 4]` uniform numbers; None: the evaluation form.
          among: the training part, of which the next that decodes comes in the place
            of one that does not, with `undecodable=skip`; None: the whole split.

        Raises:
          UserError: one cannot be decoded, and `undecodable` is "error".
        """

        def read(row: int) -> tuple[Image.Image, int]:
            crop = None if crops is None else crops[row]
            for index in self._from(int(indices[row]), among):
                try:
                    return self._formed(index, crop)
                except images.Undecodable as error:
                    self._tell(index, error)
            raise UserError("no image of the training part can be decoded")

        return self._batch(read, len(indices))

    def _batch(
        self, read: Callable[[int], tuple[Image.Image, int]], count: int
    ) -> Batch:
        pixels = np.empty((count, *self.shape), np.uint8)
        labels = np.empty(count, np.int32)

        def fill(row: int) -> None:
            image, labels[row] = read(row)
            pixels[row] = np.asarray(image)

        for _ in self.pool.map(fill, range(count)):
            pass
        return {"image": pixels, "label": labels}

    def _formed(self, index: int, crop: np.ndarray | None) -> tuple[Image.Image, int]:
        encoded, label = self.records.read(index)
        image, size = images.decode(encoded), self.data_config.image_size
        if crop is not None:
            return images.training_form(image, crop, size=size), label
        if size:
            shorter = self.data_config.resize_shorter
            return images.evaluation_form(
                image, resize_shorter=shorter, size=size
            ), label
        height, width, _ = self.shape
        if image.size != (width, height):
            raise UserError(
                f"{self.records.name(index)} has {image.height} x {image.width} "
                f"pixels where others have {height} x {width}: data.image_size must "
                "say to what size images are brought"
            )
        return image, label

    def _from(self, index: int, among: np.ndarray | None) -> Iterator[int]:
        """This one, then those after it, around the end."""
        yield index
        order = np.arange(len(self)) if among is None else among
        start = int(np.flatnonzero(order == index)[0])
        yield from map(int, np.roll(order, -start)[1:])

    def _tell(self, index: int, error: images.Undecodable) -> None:
        name = self.records.name(index)
        if self.data_config.undecodable != "skip":
            raise UserError(
                f"{name} cannot be decoded: {error}; mend it, remove it, or replace "
                "it in training with data.undecodable=skip"
            ) from error
        self.replaced.add(index, name, error)


def data_set(
    train: Records, test: Records, class_names: tuple[str, ...] | None, *,
    num_classes: int, data_config: DataConfig,
) -> DataSet:  # fmt: skip
    """Both parts, read by the same `data.threads` threads.

    Raises:
      UserError: with `data.image_size` 0, no image of the training part can be
        decoded, which the size would be known by.
    """
    pool = ThreadPoolExecutor(data_config.threads, thread_name_prefix="decode")
    replaced = ReplacedImages(len(train))
    size = data_config.image_size
    shape = (size, size, 3) if size else _first_shape(train)
    return DataSet(
        Encoded(train, data_config, pool, replaced, shape),
        Encoded(test, data_config, pool, replaced, shape),
        num_classes, shape, class_names, replaced,
    )  # fmt: skip


def _first_shape(records: Records) -> tuple[int, int, int]:
    for index in range(len(records)):
        try:
            image = images.decode(records.read(index)[0])
        except images.Undecodable:
            continue  # whether that is an error is for who reads the example to say
        return image.height, image.width, 3
    raise UserError("no image of the training part can be decoded")
