"""Loops whose compiled form depends on the backend, and whose results do not."""

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
      step: the state and the number of the step to the next state.
      state: a pytree of arrays.
      steps: the number of steps, >= 0.
      first: the number of the first step.
      unroll: steps in one iteration of the compiled loop; with `steps` there is no
        loop. None: no loop on CPU, where XLA runs the gradient of a convolution inside
        a loop up to 28 times slower, and a loop of single steps elsewhere.
    """
    if unroll is None:
        unroll = steps if jax.default_backend() == "cpu" else 1
    unroll = max(unroll, 1)
    # For scan, 0 means no loop; with 1, a single step would still be a loop.
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
    """Combines `term(i)` for i = 0 ... count - 1, within a compiled program.

    On CPU all terms are computed side by side, which takes the memory of all: a loop is
    slow there, and without a loop the program would be `count` times as large. They are
    combined in a loop on all backends, so that the program does not grow with `count`.

    Args:
      term: a number to a pytree of arrays.
      combine: two terms to one.
      count: the number of terms, >= 1.
    """
    if jax.default_backend() == "cpu" and count > 1:
        terms = jax.vmap(term)(jnp.arange(count))
        number = lambda i: jax.tree.map(lambda leaf: leaf[i], terms)
        return jax.lax.fori_loop(
            1, count, lambda i, state: combine(state, number(i)), number(0)
        )
    return repeat(
        lambda state, i: combine(state, term(i)),
        term(jnp.asarray(0)),
        count - 1,
        first=1,
    )


def gradient_steps() -> int:
    """The number of steps with a gradient that are compiled as one program.

    Long attacks call that program again and again. So they can end early, and the
    program, which has no loop on CPU, stays small.
    """
    return 5 if jax.default_backend() == "cpu" else 20
