"""Weights as safetensors, with our names and with torch's."""

import json
from collections.abc import Mapping

import numpy as np
from flax import traverse_util

from train.release.network import Released


def ours(released: Released) -> bytes:
    """Names such as params/classifier/kernel; the header describes the model."""
    flat = traverse_util.flatten_dict(released.variables, sep="/")
    arrays = {name: np.ascontiguousarray(leaf) for name, leaf in flat.items()}
    normalize = released.normalize
    return _saved(
        arrays,
        {
            "model": released.name,
            "num_classes": str(released.num_classes),
            **({} if normalize is None else {"normalize": json.dumps(normalize)}),
            **_names(released),
        },
    )


def of_torch(released: Released) -> bytes | None:
    """torch's names and layouts; None: torch has no such architecture."""
    arrays = released.torch_arrays()
    if arrays is None:
        return None
    described = {"format": "pt", "model": released.name, **_names(released)}
    return _saved(arrays, described)


def _names(released: Released) -> dict[str, str]:
    names = released.class_names
    return {} if names is None else {"class_names": json.dumps(names)}


def _saved(arrays: Mapping[str, np.ndarray], described: dict[str, str]) -> bytes:
    import safetensors.numpy

    return safetensors.numpy.save(dict(arrays), described)
