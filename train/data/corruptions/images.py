"""Corrupted images of a test part: generated here, or published files."""

from collections.abc import Sequence
from typing import Protocol

from ikl_jax import checks
from train.base.config import DataConfig
from train.base.errors import UserError, explained
from train.data.corruptions.cifar_c import CifarC
from train.data.corruptions.corrupted import COMMON, CORRUPTIONS, check_fits, fitting
from train.data.corruptions.generated import Generated
from train.data.corruptions.imagenet_c import ImageNetC
from train.data.splits import DataSet, Split

GENERATED, CIFAR_C, FOLDER = "generated", "cifar_c", "folder"
COMMON_ONES, ALL = "common", "all"


class CorruptedImages(Protocol):
    """The images of a test part under each corruption."""

    @property
    def identity(self) -> str:
        """A text that changes when the images do."""
        ...

    def missing(self, name: str) -> str:
        """What is missing for a corruption, as a sentence; "": nothing."""
        ...

    def split(self, name: str, severity: int) -> Split:
        """The examples under one corruption, in the order of the test part."""
        ...


def named(text: str) -> list[str]:
    """The corruptions that `--corruptions` names: some, the common ones, or all.

    Raises:
      UserError: one is unknown.
    """
    if text == ALL:
        return [*CORRUPTIONS]
    if text == COMMON_ONES:
        return [*COMMON]
    names = [*dict.fromkeys(name.strip() for name in text.split(","))]
    for name in names:
        with explained():
            checks.one_of("corruption", name, (*CORRUPTIONS, COMMON_ONES, ALL))
        if name not in CORRUPTIONS:
            raise UserError(
                f"--corruptions={name} stands alone: it cannot be one of a list"
            )
    return names


def opened(
    source: str, data: DataSet, data_config: DataConfig, names: Sequence[str],
    severities: Sequence[int], seed: int,
) -> CorruptedImages:  # fmt: skip
    """The corrupted images of a test part.

    Args:
      source: "generated", "cifar_c:DIR" or "folder:DIR".
      data: with the test part.
      data_config: how encoded images are read, and by how many threads.
      names: of the corruptions that are asked for.
      severities: that are asked for.
      seed: of what is generated.

    Raises:
      UserError: the source is unknown, cannot be read or is of other images.
    """
    kind, _, argument = source.partition(":")
    known = (GENERATED, f"{CIFAR_C}:DIR", f"{FOLDER}:DIR")
    if kind == GENERATED and not argument:
        return Generated(data.test, seed=seed, threads=data_config.threads)
    if kind == CIFAR_C and argument:
        return CifarC(argument, data.test)
    if kind == FOLDER and argument:
        return ImageNetC(argument, data, data_config, names, severities)
    raise UserError(
        f"--corrupted_images must be {', '.join(known[:-1])} or {known[-1]}, got "
        f"{source!r}"
    )


def possible(
    names: Sequence[str], asked: str, images: CorruptedImages, data: DataSet
) -> tuple[list[str], list[str]]:
    """The corruptions to evaluate on, and notes on those that are left out.

    Args:
      names: that `asked` stands for.
      asked: what the user wrote. What is named must be there; of "all" the extra ones
        may be missing, and what does not fit the images is left out.
      images: the corrupted images.
      data: the images as they are.

    Raises:
      UserError: one cannot be had.
    """
    found, notes = [], []
    fits = fitting(data.image_shape)
    for name in names:
        missing = images.missing(name)
        if missing and (asked != ALL or name in COMMON):
            raise UserError(missing)
        if name in fits and not missing:
            found.append(name)
        elif asked in (ALL, COMMON_ONES) and fits:
            notes.append(f"{name} is left out: {missing or _reason(name, data)}")
        else:
            check_fits(name, data.image_shape)
    return found, notes


def _reason(name: str, data: DataSet) -> str:
    try:
        check_fits(name, data.image_shape)
    except UserError as error:
        return str(error)
    return ""
