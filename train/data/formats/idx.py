"""`idx:DIR`: data sets in the format of MNIST."""

import gzip
import struct
import zlib

import numpy as np

from train.base.config import DataConfig
from train.base.errors import UserError
from train.base.files import Path
from train.data.formats import in_memory, paths
from train.data.splits import DataSet, Source


def open_idx(argument: str, _: DataConfig) -> DataSet:
    """MNIST's four files, each as it is or compressed, with the ending .gz."""
    folder = paths.existing_folder("idx", argument)
    train, test = (
        (
            read_idx(_one_of_files(folder, f"{part}-images-idx3-ubyte")),
            read_idx(_one_of_files(folder, f"{part}-labels-idx1-ubyte")),
        )
        for part in ("train", "t10k")
    )
    return in_memory.data_set(train, test, argument)


IDX_SOURCE = Source("idx", open_idx, "DIR")


def _one_of_files(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise UserError(f"idx: {str(folder)!r} holds neither {name} nor {name}.gz")


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array of an idx file.

    The file holds two zero bytes, the type (8: bytes), the number of dimensions, the
    size of each in four bytes, and the array's own bytes.
    """
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
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
