"""A short text that changes when the content of a data set does."""

import zlib

import numpy as np

from train.data.formats.encoded import Encoded
from train.data.splits import DataSet, InMemory, Split, Synthetic, View

SAMPLE = 256  # examples that are read of a part on disk, spread evenly over it
CHUNK = 4096  # examples that are read at a time


def fingerprint(data: DataSet) -> str:
    """The number of classes, and the size, shape and checksum of each part.

    The checksum of a part covers:
    - all examples, if it is held in memory;
    - `SAMPLE` examples, if it lies on disk;
    - and the names and sizes of all files, if it is a folder of images;
    - or the checksums of the files that synthetic images were converted from.
    """
    parts = [of_split(split) for split in (data.train, data.test)]
    if data.synthetic is not None:
        parts.append(_synthetic(data.synthetic))
    if data.memory is not None:
        parts.append(f"memory {of_split(data.memory.split)}")
    return f"{data.num_classes} classes, {'+'.join(parts)}"


def of_split(split: Split) -> str:
    """The size, shape and checksum of one part."""
    whole, all_indices = split, np.arange(len(split))
    while isinstance(whole, View):
        whole, all_indices = whole.split, whole.indices[all_indices]
    if isinstance(whole, Encoded):
        crc = _encoded(whole, all_indices)
        return f"{len(split)} of {'x'.join(map(str, whole.shape))} ({crc:08x})"
    everything = isinstance(whole, InMemory)
    indices = np.arange(len(split)) if everything else _sample(len(split))
    crc = 0 if everything else zlib.crc32(all_indices.astype(np.int64).tobytes())
    shape = ""
    for start in range(0, len(indices), CHUNK):
        batch = split.take(indices[start : start + CHUNK])
        crc = zlib.crc32(batch["image"].tobytes(), crc)
        crc = zlib.crc32(batch["label"].astype(np.int64).tobytes(), crc)
        shape = "x".join(map(str, batch["image"].shape[1:]))
    return f"{len(split)} of {shape} ({crc:08x})"


def _synthetic(images: Synthetic) -> str:
    sample = images.take(_sample(len(images)))
    crc = zlib.crc32(sample["image"].tobytes(), images.checksum)
    crc = zlib.crc32(sample["label"].astype(np.int64).tobytes(), crc)
    return f"{len(images)} synthetic ({crc:08x})"


def _encoded(split: Encoded, indices: np.ndarray) -> int:
    """A checksum of the encoded bytes, which need not be decodable."""
    crc = split.records.checksum(indices)
    for index in indices[_sample(len(indices))]:
        encoded, label = split.records.read(int(index))
        crc = zlib.crc32(encoded, zlib.crc32(np.int64(label).tobytes(), crc))
    return crc


def _sample(size: int) -> np.ndarray:
    """Up to `SAMPLE` indices below `size`, spread evenly."""
    return np.unique(np.linspace(0, size - 1, SAMPLE).astype(np.int64))
