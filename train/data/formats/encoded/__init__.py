"""Splits of encoded images of any size, decoded by several threads as they are read."""

import copy
import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Protocol

import numpy as np
from PIL import Image

from train.base import terminal
from train.base.config import DataConfig
from train.base.errors import UserError
from train.base.types import Batch
from train.data.formats.encoded import decoding, forms
from train.data.formats.encoded.decoding import Undecodable
from train.data.noticed import NoticedImages
from train.data.splits import DataSet


class Records(Protocol):
    """Encoded images and labels that several threads can read in any order."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> tuple[bytes, int]:
        """The encoded image and its label; `UserError` if it cannot be read."""
        ...

    def name(self, index: int) -> str:
        """How messages name the image: its file, or its place in the split."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """All labels, `[N]`."""
        ...

    @property
    def files(self) -> list[str] | None:
        """CLASS/FILE of all images, or None if they are not files of their own."""
        ...

    def checksum(self, indices: np.ndarray) -> int:
        """A checksum of which examples these are, which reads no image.

        Of files it covers the names and sizes, of others the indices.
        """
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Encoded:
    """A split of encoded images.

    Attributes:
      records: the encoded images and their labels.
      data_config: the `data` section.
      pool: the threads that decode.
      replaced: collects the training part's undecodable images.
      turned: collects the images whose EXIF data asks for a rotation.
      shape: (H, W, 3) of what is returned. With `data.image_size` 0 all images must
        have this shape already.
    """

    records: Records
    data_config: DataConfig
    pool: Executor
    replaced: NoticedImages
    turned: NoticedImages
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def labels(self) -> np.ndarray:
        return self.records.labels

    def take(self, indices: np.ndarray) -> Batch:
        """The examples in their evaluation form.

        Raises:
          UserError: one cannot be decoded, whatever `data.undecodable` is.
        """

        def read(row: int) -> tuple[Image.Image, int]:
            index = int(indices[row])
            try:
                return self._decoded(index, None)
            except Undecodable as error:
                raise UserError(
                    f"{self.records.name(index)} cannot be decoded: {error}; no image "
                    "is left out where a model is evaluated, since scores on different "
                    "images do not compare (data.undecodable is for training): repair "
                    "the file, or remove it"
                ) from error

        return self._batch(read, len(indices))

    def take_training(
        self,
        indices: np.ndarray,
        crops: np.ndarray | None = None,
        among: np.ndarray | None = None,
    ) -> Batch:
        """The examples in their training form.

        With `data.undecodable=skip` the next example that decodes, in the order of
        `among`, replaces one that does not.

        Args:
          indices: `[B]`.
          crops: `[B, ATTEMPTS, 4]` uniform numbers for random crops; None: the
            examples come in their evaluation form.
          among: indices of the training part; None: it is the whole split.

        Raises:
          UserError: one cannot be decoded, and `data.undecodable` is "error"; or none
            of the training part can be.
        """

        def read(row: int) -> tuple[Image.Image, int]:
            crop = None if crops is None else crops[row]
            for index in self._candidates(int(indices[row]), among):
                try:
                    return self._decoded(index, crop)
                except Undecodable as error:
                    self._replace(index, error)
            raise UserError("no image of the training part can be decoded")

        return self._batch(read, len(indices))

    def _batch(
        self, read: Callable[[int], tuple[Image.Image, int]], count: int
    ) -> Batch:
        """The images and labels that `read` returns for the rows 0 to `count` - 1."""
        pixels = np.empty((count, *self.shape), np.uint8)
        labels = np.empty(count, np.int32)

        def fill(row: int) -> None:
            image, labels[row] = read(row)
            pixels[row] = np.asarray(image)

        for _ in self.pool.map(fill, range(count)):
            pass
        return {"image": pixels, "label": labels}

    def _decoded(self, index: int, crop: np.ndarray | None) -> tuple[Image.Image, int]:
        """The image, cropped or in its evaluation form, and its label."""
        encoded, label = self.records.read(index)
        upright, size = self.data_config.exif_rotation, self.data_config.image_size
        image, turned = decoding.decode(encoded, upright=upright)
        if turned:
            self._notice_turned(index)
        if crop is not None:
            return forms.training_form(image, crop, size=size), label
        if size:
            shorter = self.data_config.resize_shorter
            form = forms.evaluation_form(image, resize_shorter=shorter, size=size)
            return form, label
        height, width, _ = self.shape
        if image.size != (width, height):
            raise UserError(
                f"{self.records.name(index)} has {image.height} x {image.width} "
                f"pixels where others have {height} x {width}: data.image_size must "
                "say to what size images are brought"
            )
        return image, label

    def _candidates(self, index: int, among: np.ndarray | None) -> Iterator[int]:
        """`index`, then the indices after it, and after the last one the first."""
        yield index
        order = np.arange(len(self)) if among is None else among
        start = int(np.flatnonzero(order == index)[0])
        yield from map(int, np.roll(order, -start)[1:])

    def _replace(self, index: int, error: Undecodable) -> None:
        """Records the undecodable image; raises unless `data.undecodable` is "skip"."""
        name = self.records.name(index)
        if self.data_config.undecodable != "skip":
            raise UserError(
                f"{name} cannot be decoded: {error}; repair it, remove it, or replace "
                "it in training with data.undecodable=skip"
            ) from error
        if self.replaced.add(index):
            terminal.warn(
                f"{name} cannot be decoded and is replaced in training: {error}"
            )

    def _notice_turned(self, index: int) -> None:
        """Counts an image with a rotation in EXIF; warns of the first, if ignored."""
        if self.turned.add(index) == 1 and not self.data_config.exif_rotation:
            terminal.warn(
                f"{self.records.name(index)} asks by EXIF for a rotation, which is not "
                "applied; data.exif_rotation=True applies it to all such files"
            )


def data_set(
    train: Records, test: Records, class_names: tuple[str, ...] | None, *,
    num_classes: int, data_config: DataConfig,
) -> DataSet:  # fmt: skip
    """A data set whose two parts the same `data.threads` threads decode.

    Raises:
      UserError: `data.image_size` is 0, so the first image that decodes gives the
        size, and no image of the training part decodes.
    """
    pool = ThreadPoolExecutor(data_config.threads, thread_name_prefix="decode")
    replaced = NoticedImages(len(train))
    size = data_config.image_size
    shape = (size, size, 3) if size else _first_shape(train, data_config)
    turned = NoticedImages(len(train)), NoticedImages(len(test))
    return DataSet(
        Encoded(train, data_config, pool, replaced, turned[0], shape),
        Encoded(test, data_config, pool, replaced, turned[1], shape),
        num_classes, shape, class_names, replaced, turned=turned,
    )  # fmt: skip


def evaluated(
    records: Records, data_config: DataConfig, pool: Executor,
    shape: tuple[int, int, int],
) -> Encoded:  # fmt: skip
    """A part to evaluate on alone, whose images are brought to the size of `shape`.

    Images that have that size already stay as they are: nothing is cut off.
    """
    height, width, _ = shape
    config = copy.deepcopy(data_config)
    if config.image_size:
        config.image_size = config.resize_shorter = height
    noticed = NoticedImages(len(records)), NoticedImages(len(records))
    return Encoded(records, config, pool, *noticed, (height, width, 3))


def _first_shape(records: Records, data_config: DataConfig) -> tuple[int, int, int]:
    """The shape of the first image that decodes."""
    upright = data_config.exif_rotation
    for index in range(len(records)):
        try:
            image, _ = decoding.decode(records.read(index)[0], upright=upright)
        except Undecodable:
            continue  # an error or a replacement later, when the example is read
        return image.height, image.width, 3
    raise UserError("no image of the training part can be decoded")
