"""The classifier under attack, as compiled programs see it."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp

from ikl_jax.types import Array, LogitsFn

# An example's input and its own key to its logits.
RandomisedLogitsFn = Callable[[Array, Array], Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Classifier:
    """Logits, with the arrays that they are computed from apart.

    What a compiled function closes over becomes part of its program, which for the
    weights of a large network costs memory and minutes. So `constants` are handed to
    the programs as arguments.

    Attributes:
      constants: the arrays that the logits function closes over.
      shape: of one example's input.
      num_classes: C.
    """

    constants: Sequence[Array]
    shape: tuple[int, ...]
    num_classes: int
    _fn: Callable[[Array, Array], Array]

    @classmethod
    def of(cls, logits_fn: LogitsFn, x: Array) -> "Classifier":
        """Of a deterministic function `[B, ...]` to `[B, C]`; `x` as it will be given.

        Raises:
          ValueError: it does not return a row of logits an example.
        """
        return cls._traced(lambda x, keys: logits_fn(x), x)

    @classmethod
    def randomised(cls, logits_fn: RandomisedLogitsFn, x: Array) -> "Classifier":
        """Of `(x, key)`, `[B, ...]` and a key to `[B, C]`.

        It is called for each example by itself, so that an example's noise depends on
        the example's key alone, and not on what else is in the batch.
        """

        def each(x: Array, keys: Array) -> Array:
            return jax.vmap(lambda x, key: logits_fn(x[None], key)[0])(x, keys)

        return cls._traced(each, x)

    @classmethod
    def _traced(cls, fn: Callable[[Array, Array], Array], x: Array) -> "Classifier":
        keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), len(x)))
        closed, shape = jax.make_jaxpr(fn, return_shape=True)(_abstract(x), keys)
        found: Any = shape
        if getattr(found, "ndim", None) != 2 or len(found) != len(x):
            got = getattr(found, "shape", type(found).__name__)
            raise ValueError(
                f"logits_fn must return a row of logits for each of the {len(x)} "
                f"examples, [{len(x)}, classes], got {got}"
            )
        return cls(tuple(closed.consts), x.shape[1:], found.shape[1], fn)

    def logits(self, constants: Sequence[Array], x: Array, keys: Array) -> Array:
        """`[B, ...]` and a key each, `[B]`, to `[B, C]`, float32 or wider.

        Inputs may be flat, `[B, D]`. Call it inside of `jit`, with `constants` an
        argument of what is compiled.
        """
        x = x.reshape(len(x), *self.shape)
        closed = jax.make_jaxpr(self._fn)(_abstract(x), _abstract(keys))
        (logits,) = jax.core.eval_jaxpr(closed.jaxpr, constants, x, keys)
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))


def _abstract(array: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(array.shape, array.dtype)
