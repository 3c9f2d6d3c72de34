"""Sources that are read whole: `digits`, `idx:DIR`, `npz:FILE`."""

import gzip
import pathlib
import struct
import zipfile
import zlib

import numpy as np

from train.base.config import DataConfig
from train.base.errors import UserError
from train.data.formats import in_memory
from train.data.splits import DataSet

DAMAGED = (zipfile.BadZipFile, zlib.error)


def open_digits(_: str, __: DataConfig) -> DataSet:
    """scikit-learn's 1,797 images of 8 x 8: 1,437 to train, 360 to test."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = np.rint(np.asarray(pixels) * (255 / 16)).astype(np.uint8)
    images = images.reshape(-1, 8, 8, 1)
    labels = np.asarray(labels, np.int32)
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[:1437], order[1437:]
    return in_memory.data_set(
        (images[train], labels[train]), (images[test], labels[test]), "digits"
    )


def open_idx(argument: str, _: DataConfig) -> DataSet:
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
    return in_memory.data_set(train, test, argument)


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


def open_npz(argument: str, _: DataConfig) -> DataSet:
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
    return in_memory.data_set((x_train, y_train), (x_test, y_test), argument)
