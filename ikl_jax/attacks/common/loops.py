"""Loops whose compiled form depends on the platform, and whose results do not.

The platform is that which a program is compiled for, so what is compiled or exported on
a CPU for an accelerator has the accelerator's form.
"""

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import jax.core
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
    # Both forms scan the same function, so JAX traces it once.
    one = lambda state, i: (step(state, i), None)

    def form(unroll: int) -> Callable[[State, Array], State]:
        # For scan, 0 means no loop; with 1, a single step would still be a loop.
        unroll = unroll if unroll < steps else 0
        scan = functools.partial(jax.lax.scan, one, unroll=unroll)
        return lambda state, numbers: scan(state, numbers)[0]

    numbers = first + jnp.arange(steps)
    if unroll is not None or steps < 2:
        return form(max(unroll or 1, 1))(state, numbers)
    return jax.lax.platform_dependent(state, numbers, cpu=form(steps), default=form(1))


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
    combined in a loop on all platforms, so that the program does not grow with `count`.

    Args:
      term: a number to a pytree of arrays.
      combine: two terms to one.
      count: the number of terms, >= 1.
    """
    if count == 1:
        return term(jnp.asarray(0))
    term = jax.jit(term)  # traced once for both forms

    def side_by_side(numbers: Array) -> State:
        terms = jax.vmap(term)(numbers)
        number = lambda i: jax.tree.map(lambda leaf: leaf[i], terms)
        return jax.lax.fori_loop(
            1, count, lambda i, state: combine(state, number(i)), number(0)
        )

    def in_turn(numbers: Array) -> State:
        following = lambda state, i: (combine(state, term(i)), None)
        return jax.lax.scan(following, term(numbers[0]), numbers[1:])[0]

    return jax.lax.platform_dependent(
        jnp.arange(count), cpu=side_by_side, default=in_turn
    )


def gradient_steps(arrays: Sequence[Array] = ()) -> int:
    """The number of steps with a gradient that are compiled as one program.

    Long attacks call that program again and again, so they can end early. On CPU it is
    one step: a program there has no loop and compiles for as long as it is large, and a
    call costs little.

    Args:
      arrays: what the network computes with, on the devices that run the program. Where
        none is known yet, JAX's default devices decide.
    """
    return 1 if _platform(arrays) == "cpu" else 20


def _platform(arrays: Sequence[Array]) -> str:
    for array in arrays:
        if isinstance(array, jax.Array) and not isinstance(array, jax.core.Tracer):
            return next(iter(array.devices())).platform
    return jax.default_backend()
