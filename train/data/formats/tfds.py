"""`tfds:NAME`: prepared data sets of TensorFlow Datasets, read without TensorFlow."""

import dataclasses
import zlib
from functools import cached_property
from typing import Any, NoReturn

import numpy as np

from train.base import files
from train.base.config import DataConfig
from train.base.errors import UserError
from train.base.types import Batch
from train.data.formats import encoded
from train.data.formats.in_memory.problems import problems
from train.data.splits import DataSet, OneForm, Source, Split

CHUNK = 4096  # examples whose labels are read at a time


class _Labelled:
    """Examples whose labels are read from their records, once, without decoding."""

    undecoded: Any

    @property
    def labels(self) -> np.ndarray:
        return self._labels

    @cached_property
    def _labels(self) -> np.ndarray:
        return _read_labels(self.undecoded)


@dataclasses.dataclass(frozen=True, eq=False)
class OnDisk(_Labelled, OneForm):
    """A split of images of one size, which TFDS decodes as they are read.

    Attributes:
      records: whole examples.
      undecoded: the same, their images left as bytes.
    """

    records: Any
    undecoded: Any

    def __len__(self) -> int:
        return len(self.records)

    def take(self, indices: np.ndarray) -> Batch:
        examples = self.records.__getitems__([int(i) for i in indices])
        images = [example["image"] for example in examples]
        if len({image.shape for image in images}) > 1:
            raise UserError("tfds: arrays of different sizes are not supported")
        labels = np.asarray([example["label"] for example in examples], np.int32)
        if labels.min() < 0:
            _refuse_unlabelled(f"example {indices[labels.argmin()]}")
        return {"image": np.stack(images), "label": labels}


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedOnDisk(_Labelled):
    """A split of images of many sizes, to be decoded by us.

    Attributes:
      undecoded: examples, their images left as bytes.
      split: its name.
    """

    undecoded: Any
    split: str
    files: None = None  # it can have a feature file_name, but no CLASS/FILE

    def __len__(self) -> int:
        return len(self.undecoded)

    def read(self, index: int) -> tuple[bytes, int]:
        example = self.undecoded[index]
        label = int(example["label"])
        if label < 0:
            _refuse_unlabelled(self.name(index))
        return bytes(example["image"]), label

    def name(self, index: int) -> str:
        example = self.undecoded[index]
        if "file_name" in example:
            return repr(example["file_name"].decode(errors="replace"))
        return f"example {index} of split {self.split!r}"

    def checksum(self, indices: np.ndarray) -> int:
        return zlib.crc32(indices.astype(np.int64).tobytes())


def open_tfds(argument: str, data_config: DataConfig) -> DataSet:
    """A prepared data set of TFDS in a format that can be read at random."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise UserError(
            f"tfds: pip install tensorflow-datasets importlib_resources ({error})"
        ) from error

    builder = _builder(argument, data_config)
    features: Any = builder.info.features
    if not {"image", "label"} <= features.keys():
        known = ", ".join(features)
        raise UserError(f"tfds: {argument} needs features image and label, has {known}")
    if not isinstance(features["label"], tfds.features.ClassLabel):
        raise UserError(f"tfds: the label of {argument} is not a class")
    label, image = features["label"], features["image"]
    names = [data_config.train_split, data_config.test_split]
    undecoded = [
        _source(builder, name, {"image": tfds.decode.SkipDecoding()}) for name in names
    ]
    if isinstance(features["image"], tfds.features.Image) and None in image.shape[:2]:
        train, test = map(EncodedOnDisk, undecoded, names)
        return encoded.data_set(
            train,
            test,
            _names(label),
            num_classes=label.num_classes,
            data_config=data_config,
        )
    whole = [_source(builder, name, None) for name in names]
    train, test = map(OnDisk, whole, undecoded)
    first = _first_image(train, argument)
    for problem in problems(first[None], np.zeros(1, np.int32)):
        raise UserError(f"tfds: {argument}: {problem}")
    return DataSet(train, test, label.num_classes, first.shape, _names(label))


TFDS_SOURCE = Source("tfds", open_tfds, "NAME")


def _builder(name: str, data_config: DataConfig) -> Any:
    """Of a data set that is prepared, in a format that can be read at random."""
    import tensorflow_datasets as tfds

    prepare = (
        f"prepare it once, where TensorFlow is installed: tfds build {name} "
        "--file_format=array_record"
    )
    given = data_config.data_dir
    folder = str(files.named(given, "data.data_dir")) if given else None
    try:
        builder: Any = tfds.builder(name, data_dir=folder)
    except tfds.core.DatasetNotFoundError as error:
        raise UserError(f"tfds: there is no data set named {name!r}") from error
    except (AssertionError, ValueError) as error:
        raise UserError(f"tfds: {name!r} cannot be opened: {error}") from error
    if not builder.is_prepared():
        raise UserError(
            f"tfds: {name} is not prepared under {builder.data_path}; {prepare} "
            "(and set data.data_dir if it lies elsewhere)"
        )
    file_format = builder.info.file_format.value
    if file_format not in ("array_record", "parquet"):
        raise UserError(
            f"tfds: {name} was prepared as {file_format}, which cannot be read at "
            f"random; {prepare}"
        )
    return builder


def _source(builder: Any, split: str, decoders: Any) -> Any:
    if split.split("[")[0] not in builder.info.splits:
        known = ", ".join(builder.info.splits)
        raise UserError(f"tfds: {builder.name} has no split {split!r}; it has: {known}")
    try:
        return builder.as_data_source(split=split, decoders=decoders)
    except (AssertionError, ValueError) as error:
        raise UserError(f"tfds: split {split!r} cannot be read: {error}") from error


def _refuse_unlabelled(example: str) -> NoReturn:
    raise UserError(
        f"tfds: {example} has no label; data.train_split and data.test_split must name "
        "splits that do"
    )


def _names(label: Any) -> tuple[str, ...] | None:
    """The classes' names; None if TFDS has only their numbers."""
    numbers = [str(number) for number in range(label.num_classes)]
    return None if label.names == numbers else tuple(label.names)


def _read_labels(records: Any) -> np.ndarray:
    starts = range(0, len(records), CHUNK)
    parts = [range(start, min(start + CHUNK, len(records))) for start in starts]
    labels = [
        example["label"] for part in parts for example in records.__getitems__([*part])
    ]
    return np.asarray(labels, np.int32)


def _first_image(split: Split, name: str) -> np.ndarray:
    try:
        return split.take(np.array([0]))["image"][0]
    except ImportError as error:
        raise UserError(
            f"tfds: to decode the images of {name}, pip install pillow ({error})"
        ) from error
