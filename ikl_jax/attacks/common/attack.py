"""What attacks are called with and what they return, in the library and by users."""

from typing import Any, NamedTuple, Protocol

import jax.export
import jax.numpy as jnp
import numpy as np

from ikl_jax import checks
from ikl_jax.attacks.common import geometry
from ikl_jax.attacks.common.rows import spread
from ikl_jax.types import Array


class AttackResult(NamedTuple):
    """What `apgd`, `fab` and `square` return.

    Attributes:
      x_adv: `[B, ...]` in [0, 1], a misclassified input, or x where none was found.
      broken: `[B]`, whether one was found.
      distance: `[B]`, the norm of x_adv - x where broken (0 where x itself is
        misclassified), infinity elsewhere.
      queries: `[B]` int32, the perturbed inputs that `square` looked at; None of
        attacks that do not count them.
    """

    x_adv: Array
    broken: Array
    distance: Array
    queries: Array | None = None

    def __repr__(self) -> str:
        """Five lines: the arrays are described and not printed."""
        lines = [
            f"  {name}: {_described(part)}" for name, part in self._asdict().items()
        ]
        return "\n".join(["AttackResult(", *lines]) + ")"


def _described(part: Any) -> str:
    """The shape and dtype of an array, and how many of a known `broken` are true."""
    shape, dtype = getattr(part, "shape", None), getattr(part, "dtype", None)
    if shape is None or dtype is None:
        return repr(part)
    text = f"{dtype} {shape}"
    if dtype == np.dtype(bool) and checks.is_concrete(part) and hasattr(part, "sum"):
        text = f"{text}, {int(part.sum())} true"
    return text


jax.export.register_namedtuple_serialization(
    AttackResult, serialized_name="ikl_jax.attacks.AttackResult"
)


class Batch(NamedTuple):
    """The examples of one call.

    Attributes:
      x: `[B, ...]` in [0, 1].
      labels: `[B]` integers.
      targets: `[B]` integers, another class of each example, for attacks that aim at
        one; others ignore it.
      keys: `[B]`, one of `jax.random.key` each.
    """

    x: Array
    labels: Array
    targets: Array
    keys: Array


class Found(NamedTuple):
    """What one search has found.

    Attributes:
      x_adv: `[B, ...]`, the first misclassified input in the ball and in [0, 1] that
        was met; x itself where none was.
      broken: `[B]`, whether one was.
    """

    x_adv: Array
    broken: Array

    def measured(self, x: Array, norm: str) -> AttackResult:
        """With the distance from `x`."""
        size = geometry.norm_named(norm).size(self.x_adv - x)
        return AttackResult(*self, jnp.where(self.broken, size, jnp.inf))

    def or_nothing(self, x: Array) -> "Found":
        """With `x` itself where nothing was found."""
        x_adv = jnp.where(spread(self.broken, x), self.x_adv, x)
        return Found(x_adv, self.broken)


class Attack(Protocol):
    """One search, as AutoAttack calls it: one restart, towards one target class.

    It is called from Python and runs compiled programs, which are compiled once for
    each batch shape. What it finds for an example depends on that example alone: its
    input, label, target and key.
    """

    def __call__(
        self, x: Array, labels: Array, targets: Array, keys: Array, /
    ) -> Found:
        """Searches around `x`; the arguments are those of `Batch`, x in float32."""
        ...
