"""What the registry knows of an architecture: its names, and how they are built."""

import dataclasses
from collections.abc import Callable

import flax.linen as nn

CIFAR = (32, 32, 3)
IMAGENET = (224, 224, 3)


@dataclasses.dataclass(frozen=True)
class Family:
    """Architectures whose names differ only in numbers.

    Attributes:
      pattern: matches a whole name; its groups are the numbers.
      examples: names for the listing, and for the error about an unknown name.
      build: takes the numbers, then options, and returns the module.
      input: height, width and channels of the images in the published recipes.
      classes: number of classes in the published recipes.
    """

    pattern: str
    examples: tuple[str, ...]
    build: Callable[..., nn.Module]
    input: tuple[int, int, int] = CIFAR
    classes: int = 100


def one(
    name: str,
    build: Callable[..., nn.Module],
    input: tuple[int, int, int] = CIFAR,
    classes: int = 100,
) -> Family:
    """A family of one architecture, whose name has no numbers."""
    return Family(name, (name,), build, input, classes)


def imagenet(name: str, build: Callable[..., nn.Module]) -> Family:
    """A family of one architecture for ImageNet."""
    return one(name, build, IMAGENET, 1000)
