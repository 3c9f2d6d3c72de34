"""The two layouts of a file of `torch.save`: a zip archive, and what came before it.

Since version 1.6, torch writes a zip archive: `NAME/data.pkl` and a record
`NAME/data/KEY` for each storage. Files of earlier versions are five pickles, then all
storages.
"""

import io
import pathlib
import pickle
import zipfile
from functools import lru_cache, partial
from typing import Any

import numpy as np

from train.networks.torch_files import tensors
from train.networks.torch_files.inert import Unpickler
from train.networks.torch_files.tensors import Storage

MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the older layout


class Suspicious(Exception):
    """A pickle calls a function that makes more than plain data."""


class NotOfTorch(Exception):
    """A file is a pickle, but not one of `torch.save`."""


def read_zip(path: pathlib.Path) -> Any:
    """What a zip archive holds; raises exceptions of many kinds if it is damaged."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        pickled = next(name for name in names if name.split("/")[1:] == ["data.pkl"])
        root = pickled.removesuffix("data.pkl")
        order = b"little"
        if f"{root}byteorder" in names:
            order = archive.read(f"{root}byteorder")
        content = archive.read(pickled)

    @lru_cache(maxsize=1)  # many tensors may be views of one storage
    def read_record(name: str) -> bytes:
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)

    def storage(pid: Any) -> Any:
        kind, *rest = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"it refers to a {kind!r}")
        storage_class, key, _, size = rest[:4]
        dtype = _ordered(tensors.storage_dtype(storage_class), order == b"little")
        return Storage(partial(read_record, f"{root}data/{key}"), dtype, 0, size)

    return _unpickled(io.BytesIO(content), storage)


def read_older(path: pathlib.Path) -> Any:
    """What a file of the older layout holds; raises as `read_zip` does.

    Raises:
      NotOfTorch: it is a pickle of something else.
    """
    found: dict[str, Storage] = {}
    places: dict[str, int] = {}

    @lru_cache(maxsize=1)
    def read_bytes(key: str) -> bytes:
        whole = found[key]
        with path.open("rb") as file:
            file.seek(places[key])
            if int.from_bytes(file.read(8), order) != whole.size:
                raise ValueError(f"the storage {key} has another size than it should")
            return file.read(whole.size * whole.dtype.itemsize)

    def storage(pid: Any) -> Any:
        kind, *rest = pid
        if kind == "module":  # the source code of a class, which nobody needs
            return rest[0]
        if kind != "storage":
            raise pickle.UnpicklingError(f"it refers to a {kind!r}")
        storage_class, key, _, size, view = [*rest, None][:5]
        dtype = _ordered(tensors.storage_dtype(storage_class), order == "little")
        whole = found.setdefault(key, Storage(partial(read_bytes, key), dtype, 0, size))
        if view is None:
            return whole
        _, start, view_size = view
        return Storage(whole.read, dtype, start, view_size)

    order: Any = "little"
    with path.open("rb") as file:
        if _unpickled(file) != MAGIC:
            raise NotOfTorch
        _unpickled(file)  # the version of the layout
        if not _unpickled(file).get("little_endian", True):
            order = "big"
        content = _unpickled(file, storage)
        place_of_next = _unpickled(file), file.tell()
    keys, place = place_of_next
    for key in keys:
        places[key] = place
        place += 8 + found[key].size * found[key].dtype.itemsize
    return content


def _unpickled(file: Any, persistent: Any = None) -> Any:
    unpickler = Unpickler(file, tensors.KNOWN, persistent)
    try:
        return unpickler.load()
    finally:
        if name := unpickler.suspicious():
            raise Suspicious(name)


def _ordered(dtype: np.dtype, little: bool) -> np.dtype:
    return dtype.newbyteorder("<" if little else ">")
