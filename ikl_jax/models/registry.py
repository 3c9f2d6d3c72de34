"""Names of architectures, and the one table that they are looked up in."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import flax.linen as nn

from ikl_jax import checks
from ikl_jax.models.cnn import CNN
from ikl_jax.models.wide_resnet import WideResNet


@dataclasses.dataclass(frozen=True)
class Family:
    """Architectures whose names differ in numbers only.

    Attributes:
      pattern: matches a whole name; its groups are the numbers.
      examples: names to show when one is unknown.
      build: takes the numbers, then options, and returns the module.
    """

    pattern: str
    examples: tuple[str, ...]
    build: Callable[..., nn.Module]


FAMILIES = (
    Family(r"cnn", ("cnn",), CNN),
    Family(
        r"wide_resnet_(\d+)_(\d+)",
        ("wide_resnet_10_2", "wide_resnet_28_10", "wide_resnet_34_10"),
        WideResNet,
    ),
)


def create(name: str, num_classes: int = 10, **options: Any) -> nn.Module:
    """The Linen module of that name; images `[B, H, W, K]` in [0, 1] to `[B, C]`.

    Args:
      name: such as "cnn" or "wide_resnet_34_10" (any depth 6 n + 4, any width).
      num_classes: C >= 1.
      **options: fields of the module, such as `dtype` (of the computation).

    Raises:
      ValueError: the name is unknown (the nearest are named), or a number in it or
        `num_classes` is not possible.
      TypeError: the module has no such option.

    >>> import ikl_jax
    >>> ikl_jax.models.create("wide_resnet_10_2", num_classes=7).depth
    10
    """
    checks.positive(num_classes=num_classes)
    for family in FAMILIES:
        match = re.fullmatch(family.pattern, name)
        if match:
            numbers = [int(number) for number in match.groups()]
            return family.build(*numbers, num_classes=num_classes, **options)
    checks.one_of("model", name, [n for f in FAMILIES for n in f.examples])
    raise AssertionError("an example does not match its own pattern")
