"""What an attack of the ensemble is: one search, of a batch, that can be driven."""

from typing import NamedTuple, Protocol

from ikl_jax.types import Array


class Found(NamedTuple):
    """What an attack has found.

    Attributes:
      x_adv: `[B, ...]`, the first misclassified input in the ball and in [0, 1] that
        was met; x itself where none was.
      broken: `[B]`, whether one was.
    """

    x_adv: Array
    broken: Array


class Attack(Protocol):
    """One restart, towards one target class if it has any.

    It is called from Python and drives compiled programs, which are compiled once a
    batch shape. What it finds for an example depends on that example alone: its input,
    label, target and key.
    """

    def __call__(
        self, x: Array, labels: Array, targets: Array, keys: Array, /
    ) -> Found:
        """Searches around `x`.

        Args:
          x: `[B, ...]` float32 in [0, 1].
          labels: `[B]` integers.
          targets: `[B]` integers, another class of each example, for attacks that aim
            at one; others ignore it.
          keys: `[B]`, one of `jax.random.key` each.
        """
        ...
