"""Normalisation of the input that a torch file holds beside the weights."""

from collections.abc import Mapping

import numpy as np

from train.base.errors import UserError

Normalize = tuple[tuple[float, ...], tuple[float, ...]]
# Last parts of the names of a mean and its deviation: RobustBench's, the modules of
# Gowal et al. and of many wrappers, and those of the library `robustness`.
PAIRS = (("mu", "sigma"), ("mean", "std"), ("new_mean", "new_std"))


def find(arrays: Mapping[str, np.ndarray]) -> tuple[Normalize | None, list[str]]:
    """Mean and deviation of each channel, and the names of all tensors that say so.

    Args:
      arrays: tensors that are no weights of the network.

    Raises:
      UserError: the file holds two normalisations that differ, or one that is not for
        images in [0, 1].
    """
    found: dict[str, Normalize] = {}
    for name, array in arrays.items():
        parent, _, last = name.rpartition(".")
        for mean, deviation in PAIRS:
            other = f"{parent}.{deviation}".lstrip(".")
            if last == mean and _fit(array, arrays.get(other)):
                found[name], found[other] = (_pair(array, arrays[other]),) * 2
    if not found:
        return None, []
    first, *others = dict.fromkeys(found.values())
    if others:
        given = "; ".join(f"{name}: {found[name]}" for name in list(found)[::2])
        raise UserError(
            f"the file holds normalisations that differ ({given}): give the right one "
            "with --mean and --std"
        )
    mean, deviation = first
    if not all(value > 0 for value in deviation) or max(map(abs, mean)) > 1:
        raise UserError(
            f"the normalisation in the file, {' and '.join(found)}, is not for images "
            f"in [0, 1]: mean {mean}, deviation {deviation}; give --mean and --std for "
            "images in [0, 1]"
        )
    return first, list(found)


def _fit(mean: np.ndarray, deviation: np.ndarray | None) -> bool:
    """Whether both have one number for each channel."""
    return (
        deviation is not None
        and mean.shape == deviation.shape
        and 1 <= mean.size <= 4
        and mean.size == max((1, *mean.shape))
        and np.issubdtype(mean.dtype, np.floating)
    )


def _pair(mean: np.ndarray, deviation: np.ndarray) -> Normalize:
    return _decimals(mean), _decimals(deviation)


def _decimals(array: np.ndarray) -> tuple[float, ...]:
    """The shortest decimals that are these float32 numbers: 0.4914, not 0.49140000."""
    return tuple(float(str(value)) for value in array.reshape(-1).astype(np.float32))
