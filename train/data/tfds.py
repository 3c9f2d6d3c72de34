"""`tfds:NAME`: prepared data sets of TensorFlow Datasets, read without TensorFlow."""

import dataclasses
from typing import Any

import numpy as np

from train.data.splits import DataSet, Split, problems
from train.errors import UserError
from train.types import Batch, Config


@dataclasses.dataclass(frozen=True)
class OnDisk:
    """A split of TFDS, decoded as it is read."""

    records: Any

    def __len__(self) -> int:
        return len(self.records)

    def take(self, indices: np.ndarray) -> Batch:
        examples = self.records.__getitems__([int(i) for i in indices])
        images = [example["image"] for example in examples]
        if len({image.shape for image in images}) > 1:
            raise UserError("tfds: images of different sizes are not supported")
        return {
            "image": np.stack(images),
            "label": np.asarray([example["label"] for example in examples], np.int32),
        }


def open_tfds(argument: str, config: Config) -> DataSet:
    """A prepared data set of TFDS in a format that can be read at random."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise UserError(
            f"tfds: pip install tensorflow-datasets importlib_resources ({error})"
        ) from error

    prepare = (
        f"prepare it once, where TensorFlow is installed: tfds build {argument} "
        "--file_format=array_record"
    )
    try:
        builder: Any = tfds.builder(argument, data_dir=config.data_dir or None)
    except tfds.core.DatasetNotFoundError as error:
        raise UserError(f"tfds: there is no data set named {argument!r}") from error
    except (AssertionError, ValueError) as error:
        raise UserError(f"tfds: {argument!r} cannot be opened: {error}") from error
    if not builder.is_prepared():
        raise UserError(
            f"tfds: {argument} is not prepared under {builder.data_path}; {prepare} "
            "(and set data.data_dir if it lies elsewhere)"
        )
    info = builder.info
    if info.file_format.value not in ("array_record", "parquet"):
        raise UserError(
            f"tfds: {argument} was prepared as {info.file_format.value}, which "
            f"cannot be read at random; {prepare}"
        )
    if not {"image", "label"} <= info.features.keys():
        known = ", ".join(info.features)
        raise UserError(f"tfds: {argument} needs features image and label, has {known}")
    train, test = (
        _tfds_split(builder, config[field]) for field in ("train_split", "test_split")
    )
    if not isinstance(info.features["label"], tfds.features.ClassLabel):
        raise UserError(f"tfds: the label of {argument} is not a class")
    image = _first_image(train, argument)
    for problem in problems(image[None], np.zeros(1, np.int32)):
        raise UserError(f"tfds: {argument}: {problem}")
    return DataSet(train, test, info.features["label"].num_classes, image.shape)


def _tfds_split(builder: Any, name: str) -> OnDisk:
    if name.split("[")[0] not in builder.info.splits:
        known = ", ".join(builder.info.splits)
        raise UserError(f"tfds: {builder.name} has no split {name!r}; it has: {known}")
    try:
        return OnDisk(builder.as_data_source(split=name))
    except (AssertionError, ValueError) as error:
        raise UserError(f"tfds: split {name!r} cannot be read: {error}") from error


def _first_image(split: Split, name: str) -> np.ndarray:
    try:
        return split.take(np.array([0]))["image"][0]
    except ImportError as error:
        raise UserError(
            f"tfds: to decode the images of {name}, pip install pillow ({error})"
        ) from error
