"""Data sets that are held in memory as arrays."""

import numpy as np

from train.base.errors import UserError
from train.data.formats.in_memory.problems import problems
from train.data.splits import DataSet, InMemory

LARGEST = np.iinfo(np.int32).max  # label


def data_set(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    name: str,
    class_names: tuple[str, ...] | None = None,
) -> DataSet:
    """A data set of arrays.

    Images are uint8 `[N, H, W, K]` or `[N, H, W]`; labels are `[N]` or `[N, 1]`.
    Whether the labels' values make sense is checked by `classes.settle`.

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
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    for problem in problems(images, labels):
        raise UserError(f"{name}: {problem}")
    if images.max() == 1:
        raise UserError(
            f"{name}: the brightest value is 1 of 255, so the images are all but "
            "black: if 1 is to be white, multiply them by 255"
        )
    _check_range(labels, name)
    return InMemory(images, labels.astype(np.int32))


def _check_range(labels: np.ndarray, name: str) -> None:
    """Raises `UserError` for a label that is negative, or too large for int32."""
    if (smallest := labels.min()) < 0:
        hint = ""
        if set(np.unique(labels).tolist()) == {-1, 1}:
            hint = ": for two classes, (y > 0).astype(int) makes them 0 and 1"
        example = int(labels.argmin())
        raise UserError(
            f"{name}: labels must be >= 0, got {smallest} (example {example}){hint}"
        )
    if (largest := labels.max()) > LARGEST:
        example = int(labels.argmax())
        raise UserError(
            f"{name}: labels must be numbers of classes, got {largest} (example "
            f"{example})"
        )
