"""`npz:FILE`: four arrays in one file of NumPy."""

import zipfile
import zlib

import numpy as np

from train.base.config import DataConfig
from train.base.errors import UserError
from train.data.formats import in_memory, paths
from train.data.splits import DataSet, Source

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
# What NumPy raises where a file is no .npz file, or a damaged one.
UNREADABLE = (EOFError, OSError, TypeError, ValueError, zipfile.BadZipFile, zlib.error)


def open_npz(argument: str, _: DataConfig) -> DataSet:
    """The arrays `ARRAYS`, as `in_memory.data_set` takes them."""
    path = paths.existing_file("npz", argument)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            missing = [name for name in ARRAYS if name not in arrays]
            if missing:
                raise UserError(
                    f"npz: {str(path)!r} lacks {', '.join(missing)}; "
                    f"it holds {', '.join(arrays.files)}"
                )
            x_train, y_train, x_test, y_test = (arrays[name] for name in ARRAYS)
    except UNREADABLE as error:
        raise UserError(
            f"npz: {str(path)!r} cannot be read: {_reason(error)}"
        ) from error
    return in_memory.data_set((x_train, y_train), (x_test, y_test), argument)


def _reason(error: Exception) -> str:
    if "allow_pickle" in str(error):
        return (
            "it holds Python objects, which could run code; save plain arrays, all "
            "images in one uint8 array and all labels in one of integers"
        )
    return str(error)


NPZ_SOURCE = Source("npz", open_npz, "FILE")
