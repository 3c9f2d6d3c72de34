"""The features that a model's classifier takes, of any model that ends in one."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn

from ikl_jax.types import Array


def with_features(call: Callable[[], Array]) -> tuple[Array, Array]:
    """Calls a model and returns its logits and the input of its classifier.

    The classifier is the last `nn.Dense` that is called and is as wide as the logits.
    The model itself is not changed: its calls are intercepted.

    Args:
      call: applies a Linen model, and returns its logits `[B, C]`.

    Returns:
      The logits `[B, C]` and the features `[B, F]`.

    Raises:
      ValueError: the model has no such layer.
    """
    found: list[tuple[int, Array]] = []

    def record(next_call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        layer = context.module
        if isinstance(layer, nn.Dense) and context.method_name == "__call__":
            x = args[0] if args else kwargs["inputs"]
            found.append((layer.features, x))
        return next_call(*args, **kwargs)

    with nn.intercept_methods(record):
        logits = call()
    width = logits.shape[-1]
    for features, x in reversed(found):
        if features == width:
            return logits, x.reshape(len(x), -1)
    raise ValueError(
        f"the model has no features: it needs an nn.Dense of {width} outputs as its "
        "classifier"
    )
