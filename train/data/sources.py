"""Data sets by name: `digits`, `idx:DIR`, `npz:FILE`, `tfds:NAME`.

All give uint8 images `[N, H, W, K]` and integer labels. A new source is a function
and a line in `SOURCES`.
"""

import dataclasses
import gzip
import pathlib
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from ikl_jax import checks
from train.errors import UserError, explained
from train.types import Batch, Config

DAMAGED = (zipfile.BadZipFile, zlib.error)


class Split(Protocol):
    """Examples that can be read in any order."""

    def __len__(self) -> int: ...

    def take(self, indices: np.ndarray) -> Batch:
        """The examples at `indices`: `image` `[B, H, W, K]` and `label` `[B]`."""
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


@dataclasses.dataclass(frozen=True)
class View:
    """Some of the examples of another split."""

    split: Split
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, indices: np.ndarray) -> Batch:
        return self.split.take(self.indices[indices])


@dataclasses.dataclass(frozen=True)
class DataSet:
    """What a run trains and is evaluated on."""

    train: Split
    test: Split
    num_classes: int
    image_shape: tuple[int, int, int]


def open_source(config: Config) -> DataSet:
    """The data set that `config.data` names, with its validation part split off.

    Raises:
      UserError: the source is unknown, missing, damaged or too small.
    """
    name, _, argument = config.source.partition(":")
    with explained():
        checks.one_of("data.source", name, SOURCES)
    if not argument and name != "digits":
        raise UserError(f"data.source={name} needs what to read: {name}:NAME or PATH")
    return _hold_out(SOURCES[name](argument, config), config)


def _hold_out(data: DataSet, config: Config) -> DataSet:
    size = config.validation_size
    if not size:
        return data
    if size >= len(data.train):
        raise UserError(
            f"data.validation_size must be below the {len(data.train)} training "
            f"examples, got {size}"
        )
    order = np.random.default_rng(0).permutation(len(data.train))
    held_out, rest = np.sort(order[:size]), np.sort(order[size:])
    evaluated = data.test
    if config.evaluate_on == "validation":
        evaluated = View(data.train, held_out)
    return dataclasses.replace(data, train=View(data.train, rest), test=evaluated)


def _digits(argument: str, _: Config) -> DataSet:
    """scikit-learn's 1,797 images of 8 x 8: 1,437 to train, 360 to test."""
    if argument:
        raise UserError(f"the source digits takes no argument, got {argument!r}")
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = np.rint(np.asarray(pixels) * (255 / 16)).astype(np.uint8)
    images = images.reshape(-1, 8, 8, 1)
    labels = np.asarray(labels, np.int32)
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[:1437], order[1437:]
    return _in_memory(
        (images[train], labels[train]), (images[test], labels[test]), "digits"
    )


def _idx(argument: str, _: Config) -> DataSet:
    """MNIST's four files, as they are or with .gz."""
    folder = pathlib.Path(argument).expanduser()
    if not folder.is_dir():
        raise UserError(f"idx: there is no folder {str(folder)!r}")
    train, test = (
        (
            read_idx(_one_of_files(folder, f"{part}-images-idx3-ubyte")),
            read_idx(_one_of_files(folder, f"{part}-labels-idx1-ubyte")),
        )
        for part in ("train", "t10k")
    )
    return _in_memory(train, test, argument)


def _one_of_files(folder: pathlib.Path, name: str) -> pathlib.Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise UserError(f"idx: {str(folder)!r} holds neither {name} nor {name}.gz")


def read_idx(path: pathlib.Path) -> np.ndarray:
    """The uint8 array of an idx file (zeros, type, rank, sizes, bytes)."""
    try:
        raw = (
            gzip.decompress(path.read_bytes())
            if path.suffix == ".gz"
            else (path.read_bytes())
        )
    except (EOFError, OSError, zlib.error) as error:
        raise UserError(f"idx: {str(path)!r} is damaged: {error}") from error
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08":
        raise UserError(f"idx: {str(path)!r} is not an idx file of bytes")
    header = 4 + 4 * raw[3]
    shape = struct.unpack(f">{raw[3]}I", raw[4:header]) if len(raw) >= header else ()
    expected = header + int(np.prod(shape))
    if len(raw) != expected:
        raise UserError(
            f"idx: {str(path)!r} is truncated or damaged: {len(raw)} bytes where its "
            f"header says {expected}"
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)


def _npz(argument: str, _: Config) -> DataSet:
    """Arrays x_train, y_train, x_test, y_test in one file; images uint8."""
    path = pathlib.Path(argument).expanduser()
    if not path.is_file():
        raise UserError(f"npz: there is no file {str(path)!r}")
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            missing = [name for name in names if name not in arrays]
            if missing:
                raise UserError(
                    f"npz: {str(path)!r} lacks {', '.join(missing)}; "
                    f"it holds {', '.join(arrays.files)}"
                )
            x_train, y_train, x_test, y_test = (arrays[name] for name in names)
    except (EOFError, OSError, TypeError, ValueError, *DAMAGED) as error:
        raise UserError(f"npz: {str(path)!r} cannot be read: {error}") from error
    return _in_memory((x_train, y_train), (x_test, y_test), argument)


def _tfds(argument: str, config: Config) -> DataSet:
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
    for problem in _problems(image[None], np.zeros(1, np.int32)):
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


def _in_memory(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    name: str,
) -> DataSet:
    parts = {"train": train, "test": test}
    splits = {
        part: _checked(*arrays, f"{name} ({part})") for part, arrays in parts.items()
    }
    shapes = {split.images.shape[1:] for split in splits.values()}
    if len(shapes) > 1:
        raise UserError(f"{name}: images differ in shape between the parts: {shapes}")
    num_classes = 1 + max(int(split.labels.max()) for split in splits.values())
    return DataSet(splits["train"], splits["test"], num_classes, *shapes)


def _checked(images: np.ndarray, labels: np.ndarray, name: str) -> InMemory:
    if images.ndim == 3:
        images = images[..., None]
    for problem in _problems(images, labels):
        raise UserError(f"{name}: {problem}")
    return InMemory(images, labels.astype(np.int32))


def _problems(images: np.ndarray, labels: np.ndarray) -> Iterator[str]:
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


SOURCES: dict[str, Callable[[str, Config], DataSet]] = {
    "digits": _digits,
    "idx": _idx,
    "npz": _npz,
    "tfds": _tfds,
}
