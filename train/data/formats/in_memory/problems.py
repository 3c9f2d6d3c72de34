"""Sentences on what is wrong with arrays of images and labels, and on what mends it."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

CHANNELS = 4  # more are rare: then a first axis that is shorter may be the channels'


class Described(Protocol):
    """An array, or one on disk of which only the header has been read."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...


def problems(
    images: Described, labels: Described, names: tuple[str, str] = ("images", "labels")
) -> Iterator[str]:
    """What is wrong with the dtypes and shapes of images and labels.

    Args:
      images: must be uint8 `[N, H, W, K]`.
      labels: must be integers `[N]`.
      names: what the sentences call the two arrays.
    """
    shape, size = images.shape, labels.shape
    got = f"got {images.dtype} {shape}"
    if images.dtype != np.uint8:
        yield f"{names[0]} must be uint8 [N, H, W, K], {got}{_to_bytes(images)}"
    elif len(shape) != 4 or 0 in shape[1:]:
        yield f"{names[0]} must be uint8 [N, H, W, K], {got}{_to_four_axes(shape)}"
    elif not np.issubdtype(labels.dtype, np.integer) or len(size) != 1:
        yield (
            f"{names[1]} must be integers [N], got {labels.dtype} {size}"
            f"{_to_numbers(labels)}"
        )
    elif shape[0] != size[0] and shape[3] == size[0]:
        yield (
            f"{names[0]} must be [N, H, W, K], {got}, which looks like [H, W, K, N]: "
            "np.moveaxis(x, -1, 0) puts the examples first"
        )
    elif shape[0] != size[0]:
        yield f"{shape[0]} images but {size[0]} labels"
    elif not size[0]:
        yield "there are no images"
    elif _channels_first(shape):
        yield (
            f"{names[0]} must have their channels last, [N, H, W, K], {got}, which "
            "looks like [N, K, H, W]: np.moveaxis(x, 1, -1) puts the channels last"
        )


def _channels_first(shape: tuple[int, ...]) -> bool:
    """Whether the second axis of four looks like the channels', and the last not."""
    _, height, width, channels = shape
    return channels > height and (channels > CHANNELS or channels == width)


def _to_bytes(images: Described) -> str:
    """How images of another dtype become uint8, by their values where they are read."""
    dtype = images.dtype
    if dtype == np.bool_:
        return ": 255 * x.astype(np.uint8) makes bytes of them"
    if not np.issubdtype(dtype, np.floating) and not np.issubdtype(dtype, np.integer):
        return ""
    if not isinstance(images, np.ndarray) or not images.size:
        return ": scale them to [0, 255], round them, and use .astype(np.uint8)"
    low, high = (float(value) for value in (images.min(), images.max()))
    if not np.isfinite([low, high]).all():
        return ", of which some are not finite"
    found = f", whose values lie in [{low:g}, {high:g}]"
    if low < 0:
        return (
            f"{found}: undo the normalisation, so that 0 is black and 255 is white, "
            "and use np.rint(x).astype(np.uint8)"
        )
    if np.issubdtype(dtype, np.floating) and high <= 1:
        return f"{found}: use np.rint(255 * x).astype(np.uint8)"
    if high <= 255:
        return f"{found}: use np.rint(x).astype(np.uint8)"
    return f"{found}: if 65535 is white, use np.rint(x / 257).astype(np.uint8)"


def _to_four_axes(shape: tuple[int, ...]) -> str:
    if len(shape) == 2:
        return ": if each row is an image, use x.reshape(-1, H, W, K)"
    return ""


def _to_numbers(labels: Described) -> str:
    """How other labels become integers `[N]`."""
    dtype, shape = labels.dtype, labels.shape
    if dtype.kind in "SU" and len(shape) == 1:
        return ": np.unique(y, return_inverse=True)[1] numbers the names"
    if len(shape) == 2 and shape[0] == 1:
        return ": use y.ravel()"
    if len(shape) == 2 and shape[1] > 1:
        if isinstance(labels, np.ndarray) and not _one_hot(labels):
            return ": an example has one class, not a row of numbers"
        return ": if each row is one-hot, use np.argmax(y, axis=1)"
    if len(shape) == 1 and dtype == np.bool_:
        return ": use y.astype(int)"
    if len(shape) == 1 and np.issubdtype(dtype, np.floating):
        whole = not isinstance(labels, np.ndarray) or bool(_are_whole(labels))
        return ": use y.astype(int)" if whole else ", which are no numbers of classes"
    return ""


def _one_hot(labels: np.ndarray) -> bool:
    if labels.dtype.kind not in "biuf":
        return False
    numbers: Any = labels.astype(np.float64)
    ones = (numbers == 1).sum(axis=1)
    return bool((ones == 1).all() and (numbers != 0).sum() == len(labels))


def _are_whole(labels: np.ndarray) -> bool:
    return bool((np.isfinite(labels) & (labels == np.floor(labels))).all())
