"""The equations of a function as JAX traces it: its jaxpr, without nested functions."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
from jax.extend import core

from ikl_jax.types import Array

# The parameter that holds the equations of a function which an equation calls.
CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
}


def traced(
    function: Callable[..., Any],
    shapes: Sequence[Any],
    instead: Mapping[str, Callable[..., Array]],
) -> core.Jaxpr:
    """The equations of a function of arrays with the given shapes and dtypes.

    Args:
      function: to trace.
      shapes: of its arguments, with their dtypes.
      instead: functions to call instead of JAX's primitives of these names.
    """
    nested = jax.make_jaxpr(function)(*shapes)
    return jax.make_jaxpr(functools.partial(_inlined, instead, nested))(*shapes).jaxpr


def shape(x: core.Var | core.Literal) -> tuple[int, ...]:
    """The shape of a value."""
    aval: Any = x.aval
    return aval.shape


def variables(equation: core.JaxprEqn) -> list[core.Var]:
    """What an equation depends on."""
    return [x for x in equation.invars if not isinstance(x, core.Literal)]


def needed(
    jaxpr: core.Jaxpr, wanted: Iterable[Any], known: Iterable[core.Var]
) -> list[core.JaxprEqn]:
    """The equations for the wanted values, in order, where others are known."""
    known = set(known)
    open_ = {x for x in wanted if not isinstance(x, core.Literal)} - known
    found = []
    for equation in reversed(jaxpr.eqns):
        if open_ & set(equation.outvars):
            found.append(equation)
            open_ |= set(variables(equation)) - known
    return found[::-1]


def arguments(
    jaxpr: core.Jaxpr, wanted: Sequence[Any], known: Iterable[core.Var]
) -> set[int]:
    """The numbers of the arguments that wanted values take, where others are known."""
    used = {x for x in wanted if isinstance(x, core.Var)}
    for equation in needed(jaxpr, wanted, known):
        used |= set(variables(equation))
    return {i for i, x in enumerate(jaxpr.invars) if x in used}


def solved(
    jaxpr: core.Jaxpr,
    wanted: Sequence[Any],
    known: dict[core.Var, Array],
    load: Callable[[int], Array],
) -> list[Array]:
    """The wanted values, from known ones and from arguments, loaded by their number."""
    values = dict(known)
    for i in sorted(arguments(jaxpr, wanted, known)):
        values[jaxpr.invars[i]] = load(i)
    for equation in needed(jaxpr, wanted, known):
        _run(equation, values)
    return [_read(values, x) for x in wanted]


def _inlined(
    instead: Mapping[str, Callable[..., Array]],
    nested: core.ClosedJaxpr,
    *arguments: Array,
) -> list[Array]:
    """Runs the equations, and those of the functions that they call, one by one."""
    jaxpr = nested.jaxpr
    values = dict(zip(jaxpr.constvars, nested.consts, strict=True))
    values |= dict(zip(jaxpr.invars, arguments, strict=True))
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        given = [_read(values, x) for x in equation.invars]
        if name in CALLS:
            found = _inlined(instead, equation.params[CALLS[name]], *given)
            values |= dict(zip(equation.outvars, found, strict=True))
        elif name in instead:
            other = jax.make_jaxpr(instead[name])(*given)
            (values[equation.outvars[0]],) = _inlined({}, other, *given)
        else:
            _run(equation, values)
    return [_read(values, x) for x in jaxpr.outvars]


def _run(equation: core.JaxprEqn, values: dict[core.Var, Array]) -> None:
    """Adds the results of an equation to the values."""
    given = [_read(values, x) for x in equation.invars]
    found = equation.primitive.bind(*given, **equation.params)
    if not equation.primitive.multiple_results:
        found = [found]
    values |= dict(zip(equation.outvars, found, strict=True))


def _read(values: dict[core.Var, Array], x: Any) -> Any:
    """A value, or the number of a literal."""
    return x.val if isinstance(x, core.Literal) else values[x]
