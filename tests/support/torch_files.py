"""Writes files as `torch.save` does, without torch; arrays stand for tensors."""

import pickle
import struct
import sys
import zipfile

import jax.numpy as jnp
import numpy as np

from train.networks.torch_files.layouts import MAGIC

KINDS = {
    "bfloat16": "BFloat16", "bool": "Bool", "float16": "Half", "float32": "Float",
    "float64": "Double", "int64": "Long", "uint8": "Byte",
}  # fmt: skip


class Name:
    """A class or function of a module that is not there."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self):
        """`pickle` wants what it calls to be callable."""


class Storage:
    def __init__(self, key, array):
        self.key, self.array = key, array


class Pickler(pickle._Pickler):
    """Pickles arrays as torch's tensors, whose elements it gathers in `storages`."""

    def __init__(self, file, *, older=False):
        super().__init__(file, protocol=2)
        self.older, self.storages = older, []

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Name):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        else:
            super().save(obj, save_persistent_id)

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        kind = Name("torch", f"{KINDS[obj.array.dtype.name]}Storage")
        place = ("storage", kind, obj.key, "cuda:0", obj.array.size)
        return (*place, None) if self.older else place

    def reducer_override(self, obj):
        if not isinstance(obj, np.ndarray):
            return NotImplemented
        storage = Storage(str(len(self.storages)), np.ascontiguousarray(obj))
        self.storages.append(storage)
        strides = [stride // obj.itemsize for stride in storage.array.strides]
        shape = tuple(obj.shape)
        arguments = (storage, 0, shape, tuple(strides[: len(shape)]), False, {})
        return Name("torch._utils", "_rebuild_tensor_v2"), arguments


def save(content, path, *, older=False, order="little"):
    """Writes `content` as torch does: since version 1.6, or before (`older`)."""
    (_save_older if older else _save_zip)(content, path, order)


def _save_zip(content, path, order):
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("archive/data.pkl", "w") as file:
            pickler = Pickler(file)
            pickler.dump(content)
        archive.writestr("archive/byteorder", order)
        for storage in pickler.storages:
            archive.writestr(f"archive/data/{storage.key}", _bytes(storage, order))
        archive.writestr("archive/version", "3\n")


def _save_older(content, path, order):
    with path.open("wb") as file:
        little = order == "little"
        for header in (
            MAGIC,
            1001,
            {"protocol_version": 1001, "little_endian": little},
        ):
            pickle.dump(header, file, protocol=2)
        pickler = Pickler(file, older=True)
        pickler.dump(content)
        pickle.dump([storage.key for storage in pickler.storages], file, protocol=2)
        for storage in pickler.storages:
            file.write(struct.pack("<q" if little else ">q", storage.array.size))
            file.write(_bytes(storage, order))


def _bytes(storage, order):
    array = storage.array
    swapped = order != sys.byteorder and array.dtype != jnp.bfloat16
    return (array.byteswap() if swapped else array).tobytes()
