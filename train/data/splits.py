"""Splits, whose examples can be read in any order, and the data set that they make."""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np

from train.base.config import DataConfig
from train.base.types import Batch
from train.data.noticed import NoticedImages


class Split(Protocol):
    """Examples that can be read in any order."""

    def __len__(self) -> int: ...

    def take(self, indices: np.ndarray) -> Batch:
        """The examples at `indices`: `image` `[B, H, W, K]` and `label` `[B]`."""
        ...

    def take_training(
        self,
        indices: np.ndarray,
        crops: np.ndarray | None = None,
        among: np.ndarray | None = None,
    ) -> Batch:
        """The examples in their training form; see `encoded.Encoded`."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """All labels, `[N]`, read without decoding an image."""
        ...


class Synthetic(Protocol):
    """Synthetic images that can be read in any order; see `formats.shards`."""

    def __len__(self) -> int: ...

    def take(self, indices: np.ndarray) -> Batch:
        """The examples at `indices`: `image` `[B, H, W, K]` and `label` `[B]`."""
        ...

    @property
    def checksum(self) -> int:
        """Changes when an image, a label or their order does."""
        ...


class OneForm:
    """A base of splits that are trained on in the form in which they are evaluated."""

    def take(self, indices: np.ndarray) -> Batch:
        raise NotImplementedError

    def take_training(
        self,
        indices: np.ndarray,
        crops: np.ndarray | None = None,
        among: np.ndarray | None = None,
    ) -> Batch:
        return self.take(indices)


@dataclasses.dataclass(frozen=True)
class InMemory(OneForm):
    """A split held as two arrays."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> Batch:
        return {"image": self.images[indices], "label": self.labels[indices]}


@dataclasses.dataclass(frozen=True)
class View:
    """Some of the examples of another split."""

    split: Split
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, indices: np.ndarray) -> Batch:
        return self.split.take(self.indices[indices])

    def take_training(
        self,
        indices: np.ndarray,
        crops: np.ndarray | None = None,
        among: np.ndarray | None = None,
    ) -> Batch:
        among = self.indices if among is None else self.indices[among]
        return self.split.take_training(self.indices[indices], crops, among)

    @property
    def labels(self) -> np.ndarray:
        return self.split.labels[self.indices]


def part_of(split: Split, indices: np.ndarray) -> View:
    """A view of the examples at `indices`; a view of a view shares its split."""
    if isinstance(split, View):
        return View(split.split, split.indices[indices])
    return View(split, indices)


def originals(split: Split) -> np.ndarray:
    """The positions of a view's examples in the split that it shows, `[N]`."""
    return split.indices if isinstance(split, View) else np.arange(len(split))


@dataclasses.dataclass(frozen=True)
class Memory:
    """Examples of earlier classes, which every training batch has some of.

    Attributes:
      split: the examples.
      share: of the rows of a batch that are of these.
    """

    split: Split
    share: float

    def __len__(self) -> int:
        return len(self.split)

    def take(self, indices: np.ndarray) -> Batch:
        """The examples at `indices` in their training form."""
        return self.split.take_training(indices)


@dataclasses.dataclass(frozen=True)
class DataSet:
    """What a run trains on and what it is evaluated on.

    Attributes:
      train: the training part; where `unlabelled` is given, its labelled examples.
      test: the part to evaluate on.
      num_classes: C.
      image_shape: (H, W, K) of all images.
      class_names: C names in the order of the labels, or None if the source has none.
      replaced: the undecodable training images, or None if the source decodes none.
      synthetic: the images that training batches mix in, or None.
      turned: of each part, the images met so far whose EXIF data asks for a rotation;
        empty if the source decodes none.
      unlabelled: examples to train on whose labels no step sees, or None where all are
        labelled.
      memory: examples of the classes of earlier tasks that training batches mix in, or
        None.
    """

    train: Split
    test: Split
    num_classes: int
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...] | None = None
    replaced: NoticedImages | None = None
    synthetic: Synthetic | None = None
    turned: tuple[NoticedImages, ...] = ()
    unlabelled: Split | None = None
    memory: Memory | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """One kind of data set.

    Attributes:
      name: what `data.source` begins with.
      open: takes what follows the colon in `data.source`, and the `data` section.
      argument: what must follow the colon, for messages; "" if nothing may.
    """

    name: str
    open: Callable[[str, DataConfig], DataSet]
    argument: str
