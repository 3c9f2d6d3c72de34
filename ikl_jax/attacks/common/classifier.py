"""The classifier under attack, as compiled programs see it."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
from jax.extend.core import Jaxpr

from ikl_jax.types import Array, LogitsFn

# An example's input and its own key to its logits.
RandomisedLogitsFn = Callable[[Array, Array], Array]
# What a logits function is traced for: batch size, dtype of inputs, dtype of keys.
Kind = tuple[int, Any, Any]


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["arrays"], meta_fields=["kind"]
)
@dataclasses.dataclass(frozen=True)
class Constants:
    """The arrays that a logits function computes with, for one kind of input."""

    arrays: tuple[Array, ...]
    kind: Kind


class _Trace(NamedTuple):
    program: Jaxpr
    arrays: Sequence[Array]
    num_classes: int


class Classifier:
    """A logits function, apart from the arrays that it closes over.

    What a compiled function closes over becomes part of its program. For the weights of
    a large network that costs memory and minutes. So programs take these arrays as an
    argument: call `constants` outside of `jit`, and `logits` with them inside.

    The function is traced once for each kind of input, and each trace has constants of
    its own, because a function may compute with other arrays for another batch size.

    Attributes:
      shape: of one example's input.
      num_classes: C.
      arrays: what the function closes over when it is given `x`.
    """

    def __init__(self, fn: Callable[[Array, Array], Array], x: Any) -> None:
        """Use `of` or `randomised`; `fn` takes inputs and a key for each of them."""
        self._fn = fn
        self._traces: dict[Kind, _Trace] = {}
        self.shape: tuple[int, ...] = tuple(x.shape[1:])
        key_dtype = jax.eval_shape(lambda: jax.random.key(0)).dtype
        dtype = jax.dtypes.canonicalize_dtype(x.dtype)
        first = self._trace((x.shape[0], dtype, key_dtype))
        self.num_classes, self.arrays = first.num_classes, first.arrays

    @classmethod
    def of(cls, logits_fn: LogitsFn, x: Array | jax.ShapeDtypeStruct) -> "Classifier":
        """A deterministic function, `[B, ...]` to `[B, C]`.

        Args:
          logits_fn: the function.
          x: an input, or its shape and dtype.

        Raises:
          ValueError: it does not return a row of logits for each example.
        """
        return cls(lambda x, keys: logits_fn(x), x)

    @classmethod
    def randomised(
        cls, logits_fn: RandomisedLogitsFn, x: Array | jax.ShapeDtypeStruct
    ) -> "Classifier":
        """A function of `(x, key)`, `[B, ...]` and one key to `[B, C]`.

        It is called for each example by itself, so that an example's noise depends on
        the example's key alone, and not on what else is in the batch.
        """

        def each(x: Array, keys: Array) -> Array:
            return jax.vmap(lambda x, key: logits_fn(x[None], key)[0])(x, keys)

        return cls(each, x)

    def constants(self, x: Array, keys: Array) -> Constants:
        """The constants for inputs like `x`, which may be flat, and keys like `keys`.

        No gradient flows to them.
        """
        kind = _kind(x, keys)
        arrays = self._trace(kind).arrays
        return Constants(tuple(map(_without_gradient, arrays)), kind)

    def logits(self, constants: Constants, x: Array, keys: Array) -> Array:
        """`[B, ...]` and a key each, `[B]`, to `[B, C]`, float32 or wider.

        Inputs may be flat, `[B, D]`. Call it inside of `jit`, with `constants` an
        argument of what is compiled.
        """
        kind = _kind(x, keys)
        trace = self._trace(kind)
        # Constants for other inputs may be wrong for these. Their own are right,
        # though they become part of the program.
        arrays = constants.arrays if constants.kind == kind else trace.arrays
        x = x.reshape(len(x), *self.shape)
        (logits,) = jax.core.eval_jaxpr(trace.program, arrays, x, keys)
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))

    def _trace(self, kind: Kind) -> _Trace:
        if kind not in self._traces:
            self._traces[kind] = self._traced(*kind)
        return self._traces[kind]

    def _traced(self, batch_size: int, dtype: Any, key_dtype: Any) -> _Trace:
        x = jax.ShapeDtypeStruct((batch_size, *self.shape), dtype)
        keys = jax.ShapeDtypeStruct((batch_size,), key_dtype)
        closed, result = jax.make_jaxpr(self._fn, return_shape=True)(x, keys)
        shape = getattr(result, "shape", None)
        if shape is None or len(shape) != 2 or shape[0] != batch_size:
            got = type(result).__name__ if shape is None else shape
            raise ValueError(
                f"logits_fn must return a row of logits for each of the {batch_size} "
                f"examples, [{batch_size}, classes], got {got}"
            )
        return _Trace(closed.jaxpr, closed.consts, shape[1])


def _without_gradient(array: Array) -> Array:
    # A known array has no gradient, and stopping it would copy it.
    is_traced = isinstance(array, jax.core.Tracer)
    return jax.lax.stop_gradient(array) if is_traced else array


def _kind(x: Array, keys: Array) -> Kind:
    # NumPy's float64 is float32 in a program, unless JAX computes with 64 bits.
    return len(x), jax.dtypes.canonicalize_dtype(x.dtype), keys.dtype
