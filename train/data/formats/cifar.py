"""`cifar10:DIR` and `cifar100:DIR`: the original Python archives, unpacked.

Their batches are pickles, and a pickle can run any code. So each file must have the
checksum of the original, and is then read by an unpickler that knows NumPy's arrays
and nothing else.
"""

import hashlib
import io
import pickle
from typing import Any

import numpy as np

from train.base.config import DataConfig
from train.base.errors import UserError
from train.base.files import Path
from train.data.formats import in_memory, paths
from train.data.splits import DataSet, Source

# MD5, as the authors' page and torchvision give them.
CIFAR10 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
CIFAR100 = {
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
}
# Files with the classes' names, which a folder need not have, and the field in them.
META = {
    "batches.meta": ("5ff9c542aee3614f3951f8cda6e48888", "label_names"),
    "meta": ("7973b15100ade9c7d40fb424638fde48", "fine_label_names"),
}
# What the batches' pickles name, under the names of old and new NumPy.
ALLOWED = {
    ("_codecs", "encode"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}
IMAGE = (3, 32, 32)


def open_cifar10(argument: str, _: DataConfig) -> DataSet:
    """50,000 images to train, 10,000 to test, of 10 classes."""
    folder = paths.unpacked("cifar10", argument, "cifar-10-batches-py")
    *train, test = (_batch(folder / name, CIFAR10[name], "labels") for name in CIFAR10)
    images, labels = zip(*train, strict=True)
    whole = np.concatenate(images), np.concatenate(labels)
    return in_memory.data_set(
        whole, test, "cifar10", _class_names(folder / "batches.meta")
    )


CIFAR10_SOURCE = Source("cifar10", open_cifar10, "DIR")


def open_cifar100(argument: str, _: DataConfig) -> DataSet:
    """50,000 images to train, 10,000 to test, of 100 classes (the fine labels)."""
    folder = paths.unpacked("cifar100", argument, "cifar-100-python")
    train, test = (
        _batch(folder / name, md5, "fine_labels") for name, md5 in CIFAR100.items()
    )
    return in_memory.data_set(train, test, "cifar100", _class_names(folder / "meta"))


CIFAR100_SOURCE = Source("cifar100", open_cifar100, "DIR")


def _batch(path: Path, md5: str, labels: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 `[N, 32, 32, 3]` and labels `[N]` of one file."""
    batch = _content(path, md5)
    images = np.asarray(batch["data"], np.uint8).reshape(-1, *IMAGE)
    return images.transpose(0, 2, 3, 1).copy(), np.asarray(batch[labels], np.int32)


def _class_names(path: Path) -> tuple[str, ...] | None:
    if not path.is_file():
        return None
    md5, field = META[path.name]
    return tuple(map(str, _content(path, md5)[field]))


def _content(path: Path, md5: str) -> dict[str, Any]:
    """What one file holds; `UserError` unless it is the original."""
    if not path.is_file():
        raise UserError(f"cifar: {str(path.parent)!r} lacks {path.name}")
    content = path.read_bytes()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise UserError(
            f"cifar: {str(path)!r} is not the original file: its MD5 is {found}, not "
            f"{md5}. Unpack the archive again"
        )
    return ArraysOnly(io.BytesIO(content), encoding="latin1").load()


class ArraysOnly(pickle.Unpickler):
    """Reads numbers, texts, containers and NumPy's arrays.

    Raises:
      UserError: the pickle names anything else.
    """

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if (module_name, global_name) not in ALLOWED:
            raise UserError(
                f"cifar: a pickle that names {module_name}.{global_name} is not read"
            )
        return super().find_class(module_name, global_name)
