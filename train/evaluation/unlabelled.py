"""Images without labels, for a network to label: of a run, a file or a data source."""

import copy
import zipfile
import zlib
from typing import Any

import numpy as np

from train.base import files
from train.base.errors import UserError
from train.data import sources
from train.data.splits import InMemory, Split
from train.data.subsets import few_labels
from train.evaluation.target import Target

IMAGE = "image"
# What NumPy raises where a file is no array, or a damaged one.
UNREADABLE = (EOFError, OSError, TypeError, ValueError, zipfile.BadZipFile, zlib.error)
# Fields of a run's data that say which examples it uses; another source has all.
ALL_EXAMPLES = {
    "train_list": "", "validation_size": 0, "evaluate_on": "test",
    "imbalance_ratio": 1.0, "num_labels": 0, "label_list": "", "unlabelled": "all",
    "num_classes": 0,
}  # fmt: skip


def of_target(target: Target, workdir: files.Path) -> Split:
    """The images of a run's training part that have no label.

    Raises:
      UserError: all have one.
    """
    found = few_labels.without_labels(target.data)
    if found is None or not len(found):
        raise UserError(
            f"all training examples of the run in {workdir} have labels "
            "(data.num_labels and data.label_list leave some without): name images "
            "with --images or --source"
        )
    return found


def of_source(source: str, target: Target) -> Split:
    """The images of the training part of a data source.

    Raises:
      UserError: it cannot be read, or its images are not of the network's shape.
    """
    data_config = copy.deepcopy(target.config.data)
    for field, value in ALL_EXAMPLES.items():
        setattr(data_config, field, value)
    data_config.source = source
    data = sources.open_source(data_config)
    _check_shape(f"--source={source}", data.image_shape, target)
    return data.train


def of_file(path: files.Path, target: Target) -> Split:
    """The images in a .npy file, or in the array `image` of a .npz file.

    Raises:
      UserError: it cannot be read, or holds no uint8 images of the network's shape.
    """
    images = _read(path)
    name = f"--images={path}"
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise UserError(
            f"{name}: images must be uint8 [N, H, W, K] with N > 0, got {images.dtype} "
            f"{images.shape}"
        )
    _check_shape(name, images.shape[1:], target)
    return InMemory(images, np.zeros(len(images), np.int32))


def _read(path: files.Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            loaded: Any = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            if IMAGE not in loaded:
                raise UserError(
                    f"--images={path} lacks {IMAGE}; it holds {', '.join(loaded.files)}"
                )
            return loaded[IMAGE]
    except UNREADABLE as error:
        raise UserError(f"--images={path} cannot be read: {error}") from error


def _check_shape(name: str, shape: tuple[int, ...], target: Target) -> None:
    if tuple(shape) != tuple(target.data.image_shape):
        raise UserError(
            f"{name} has images {tuple(shape)}, but the network was trained on images "
            f"{target.data.image_shape}"
        )
