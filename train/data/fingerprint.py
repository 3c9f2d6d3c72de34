"""A short text that changes when a data set does."""

import zlib

import numpy as np

from train.data.splits import DataSet, InMemory, Split, View

SAMPLE = 256  # examples of a part on disk that are read for it, spread evenly
CHUNK = 4096


def fingerprint(data: DataSet) -> str:
    """Sizes, classes, and a checksum of both parts.

    Of what is held in memory all examples count, of what is on disk some.
    """
    parts = "+".join(of_split(split) for split in (data.train, data.test))
    return f"{data.num_classes} classes, {parts}"


def of_split(split: Split) -> str:
    """Size, shape, and a checksum of one part."""
    crc, shape = 0, ""
    indices = _read(split)
    for start in range(0, len(indices), CHUNK):
        batch = split.take(indices[start : start + CHUNK])
        crc = zlib.crc32(batch["image"].tobytes(), crc)
        crc = zlib.crc32(batch["label"].astype(np.int64).tobytes(), crc)
        shape = "x".join(map(str, batch["image"].shape[1:]))
    return f"{len(split)} of {shape} ({crc:08x})"


def _read(split: Split) -> np.ndarray:
    whole = split
    while isinstance(whole, View):
        whole = whole.split
    if isinstance(whole, InMemory):
        return np.arange(len(split))
    return np.unique(np.linspace(0, len(split) - 1, SAMPLE).astype(np.int64))
