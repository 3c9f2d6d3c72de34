"""Data sets that are held in memory as arrays, and the checks of such arrays."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from train.base.errors import UserError
from train.data.splits import DataSet, InMemory


class Described(Protocol):
    """An array, or one on disk of which only the header has been read."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...


def data_set(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    name: str,
    class_names: tuple[str, ...] | None = None,
) -> DataSet:
    """A data set of arrays: images uint8 `[N, H, W, K]` or `[N, H, W]`, labels `[N]`.

    Args:
      train: images and labels.
      test: images and labels.
      name: of the source, for messages.
      class_names: in the order of the labels.

    Raises:
      UserError: an array has another dtype or shape, or a label is negative.
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
    if labels.min() < 0:
        raise UserError(f"{name}: labels must be >= 0, got {labels.min()}")
    return InMemory(images, labels.astype(np.int32))


def problems(
    images: Described, labels: Described, names: tuple[str, str] = ("images", "labels")
) -> Iterator[str]:
    """Sentences on what is wrong with the dtypes and shapes of images and labels.

    Args:
      images: must be uint8 `[N, H, W, K]`.
      labels: must be integers `[N]`.
      names: what the sentences call the two arrays.
    """
    shape, size = images.shape, labels.shape
    if images.dtype != np.uint8 or len(shape) != 4 or 0 in shape[1:]:
        yield f"{names[0]} must be uint8 [N, H, W, K], got {images.dtype} {shape}"
    elif not np.issubdtype(labels.dtype, np.integer) or len(size) != 1:
        yield f"{names[1]} must be integers [N], got {labels.dtype} {size}"
    elif shape[0] != size[0]:
        yield f"{shape[0]} images but {size[0]} labels"
    elif not size[0]:
        yield "there are no images"
