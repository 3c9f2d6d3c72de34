"""The table of all architectures, and the look-up of one by its name.

A new architecture is a file beside this one that defines a `Family`, or a tuple of
them, and a line here that imports it.
"""
# ruff: noqa: F401

import re
from typing import Any

import flax.linen as nn

from ikl_jax import checks
from ikl_jax.models.cnn import CNNS
from ikl_jax.models.family import Family
from ikl_jax.models.mobilenet import MOBILENETS
from ikl_jax.models.preact_resnet import PREACT_RESNETS
from ikl_jax.models.resnet import RESNETS
from ikl_jax.models.shufflenet import SHUFFLENETS
from ikl_jax.models.vgg import VGGS
from ikl_jax.models.vision_transformer import VISION_TRANSFORMERS
from ikl_jax.models.wide_resnet import WIDE_RESNETS

# Every family that is imported above.
FAMILIES: tuple[Family, ...] = tuple(
    family
    for value in tuple(globals().values())
    for family in (value if isinstance(value, tuple) else (value,))
    if isinstance(family, Family)
)


def create(name: str, num_classes: int = 10, **options: Any) -> nn.Module:
    """Creates the architecture with a given name.

    Args:
      name: such as "cifar_resnet20" or "wide_resnet_34_10" (any depth 6 n + 4, any
        width); `python -m ikl_jax.models` lists the names.
      num_classes: C >= 1.
      **options: fields of the module, such as `dtype` (of the computation),
        `bn_groups`, `bn_momentum`, `drop_path`, `normalize` and `remat`.

    Returns:
      A Linen module. It maps images `[B, H, W, K]` in [0, 1] to logits `[B, C]`.

    Raises:
      ValueError: the name is unknown (the error suggests similar ones), or a number in
        it or `num_classes` is not allowed.
      TypeError: the module has no such option.

    Examples:
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
