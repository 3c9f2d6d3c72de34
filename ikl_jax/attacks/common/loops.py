"""Loops whose compiled form is chosen by the backend and never changes results."""

import functools
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp

from ikl_jax.types import Array

State = TypeVar("State")


def repeat(
    step: Callable[[State, Array], State],
    state: State,
    steps: int,
    *,
    first: int | Array = 0,
    unroll: int | None = None,
) -> State:
    """`step(state, i)` for i = first ... first + steps - 1, within a compiled program.

    Args:
      step: state and the step's number to the next state.
      state: a pytree of arrays.
      steps: how many, >= 0.
      first: the number of the first step.
      unroll: steps per iteration of the compiled loop; `steps` leaves no loop. None: no
        loop on CPU, where XLA runs the gradient of a convolution inside a loop up to 28
        times slower, and a loop of single steps elsewhere.
    """
    if unroll is None:
        unroll = steps if jax.default_backend() == "cpu" else 1
    unroll = max(unroll, 1)
    # For scan 0 means no loop; at a single step, 1 would leave a loop of one.
    unroll = unroll if unroll < steps else 0
    numbers = first + jnp.arange(steps)
    return jax.lax.scan(
        lambda state, i: (step(state, i), None), state, numbers, unroll=unroll
    )[0]


def total(term: Callable[[Array], State], count: int) -> State:
    """The sum of `term(i)` for i = 0 ... count - 1, within a compiled program."""
    return combined(
        term, lambda first, second: jax.tree.map(jnp.add, first, second), count
    )


def combined(
    term: Callable[[Array], State], combine: Callable[[State, State], State], count: int
) -> State:
    """`term(i)` for i = 0 ... count - 1 brought together, within a compiled program.

    On CPU all terms are computed side by side, which takes their memory together: a
    loop is slow there, and without a loop the program would be `count` times as large.

    Args:
      term: a number to a pytree of arrays.
      combine: two of them to one.
      count: how many, >= 1.
    """
    if jax.default_backend() == "cpu" and count > 1:
        terms = jax.vmap(term)(jnp.arange(count))
        parts = [jax.tree.map(lambda leaf, i=i: leaf[i], terms) for i in range(count)]
        return functools.reduce(combine, parts)
    return repeat(
        lambda state, i: combine(state, term(i)),
        term(jnp.asarray(0)),
        count - 1,
        first=1,
    )


def gradient_steps() -> int:
    """How many steps with a gradient are compiled as one program.

    Long attacks call it again from where it stopped: so they can end early, and what is
    unrolled on CPU stays small.
    """
    return 5 if jax.default_backend() == "cpu" else 20
