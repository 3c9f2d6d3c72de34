"""What a data set is to a run: splits that can be read in any order."""

import dataclasses
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from train.base.errors import UserError
from train.base.types import Batch
from train.data.formats.undecodable import Replaced
from train.data.synthetic import Synthetic


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
        """The examples in the form that is trained on; see `encoded.Encoded`."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """All labels, `[N]`, without decoding an image."""
        ...


@dataclasses.dataclass(frozen=True)
class InMemory:
    """A split held as two arrays."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> Batch:
        return {"image": self.images[indices], "label": self.labels[indices]}

    def take_training(
        self,
        indices: np.ndarray,
        crops: np.ndarray | None = None,
        among: np.ndarray | None = None,
    ) -> Batch:
        return self.take(indices)


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
    """Some of a split's examples; of a view, a view of what that is a view of."""
    if isinstance(split, View):
        return View(split.split, split.indices[indices])
    return View(split, indices)


@dataclasses.dataclass(frozen=True)
class DataSet:
    """What a run trains and is evaluated on.

    Attributes:
      train: the training part.
      test: the part to evaluate on.
      num_classes: C.
      image_shape: (H, W, K) of all images.
      class_names: C names in the order of the labels, if the source has them.
      replaced: which training images did not decode, of sources that decode them.
      synthetic: what the training part is mixed with, if anything.
    """

    train: Split
    test: Split
    num_classes: int
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...] | None = None
    replaced: Replaced | None = None
    synthetic: Synthetic | None = None


def in_memory(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    name: str,
    class_names: tuple[str, ...] | None = None,
) -> DataSet:
    """A data set of arrays: images uint8 `[N, H, W, K]` or `[N, H, W]`, labels `[N]`.

    Raises:
      UserError: they are not that; `name` says in the message which they are.
    """
    parts = {"train": train, "test": test}
    splits = {
        part: _checked(*arrays, f"{name} ({part})") for part, arrays in parts.items()
    }
    shapes = {split.images.shape[1:] for split in splits.values()}
    if len(shapes) > 1:
        raise UserError(f"{name}: images differ in shape between the parts: {shapes}")
    num_classes = 1 + max(int(split.labels.max()) for split in splits.values())
    shape = shapes.pop()
    return DataSet(splits["train"], splits["test"], num_classes, shape, class_names)


def _checked(images: np.ndarray, labels: np.ndarray, name: str) -> InMemory:
    if images.ndim == 3:
        images = images[..., None]
    for problem in problems(images, labels):
        raise UserError(f"{name}: {problem}")
    return InMemory(images, labels.astype(np.int32))


def problems(images: np.ndarray, labels: np.ndarray) -> Iterator[str]:
    """What is wrong with the arrays of a split, if anything is."""
    if images.dtype != np.uint8 or images.ndim != 4:
        yield f"images must be uint8 [N, H, W, K], got {images.dtype} {images.shape}"
    elif not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1:
        yield f"labels must be integers [N], got {labels.dtype} {labels.shape}"
    elif len(images) != len(labels):
        yield f"{len(images)} images but {len(labels)} labels"
    elif not len(labels):
        yield "there are no examples"
    elif labels.min() < 0:
        yield f"labels must be >= 0, got {labels.min()}"
