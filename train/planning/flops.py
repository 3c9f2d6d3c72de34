"""Floating-point operations of a function, counted in its jaxpr.

Only convolutions and matrix products count, a multiplication and an addition each; the
time of all other operations is spent on memory. The numbers that XLA reports depend on
the backend, and ignore how often a loop runs. These do not.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend import core


def count(fn: Callable[..., Any], *arguments: Any) -> int:
    """The operations of one call of `fn`; the arguments may be abstract.

    The most expensive branch of a `cond` counts. A loop whose number of rounds is not
    known counts once.

    >>> import jax.numpy as jnp
    >>> count(lambda x, y: jnp.tanh(x @ y), jnp.ones((2, 3)), jnp.ones((3, 4)))
    48
    """
    return _of_jaxpr(jax.make_jaxpr(fn)(*arguments).jaxpr)


def _of_jaxpr(jaxpr: core.Jaxpr) -> int:
    return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation: core.JaxprEqn) -> int:
    name = equation.primitive.name
    if name in COUNTS:
        return COUNTS[name](equation)
    inner = [_of_jaxpr(jaxpr) for jaxpr in _inner(equation.params)]
    if name == "cond":
        return max(inner, default=0)
    return sum(inner) * equation.params.get("length", 1)


def _inner(params: dict[str, Any]) -> Iterator[core.Jaxpr]:
    """The jaxprs that an equation runs, under whatever parameter they stand."""
    for value in params.values():
        for part in value if isinstance(value, (tuple, list)) else [value]:
            if isinstance(part, core.ClosedJaxpr):
                yield part.jaxpr
            elif isinstance(part, core.Jaxpr):
                yield part


def _matrix_product(equation: core.JaxprEqn) -> int:
    left, out = _shape(equation.invars[0]), _shape(equation.outvars[0])
    (contracted, _), _ = equation.params["dimension_numbers"]
    return 2 * math.prod(out) * math.prod(left[axis] for axis in contracted)


def _convolution(equation: core.JaxprEqn) -> int:
    """Multiplications by the zeros that a dilation inserts do not count."""
    numbers = equation.params["dimension_numbers"]
    inputs, kernel = map(_shape, equation.invars)
    outputs = _shape(equation.outvars[0])
    taps = math.prod(kernel[axis] for axis in numbers.rhs_spec[2:])
    into = kernel[numbers.rhs_spec[1]]
    places = math.prod(outputs[axis] for axis in numbers.out_spec[2:])
    if math.prod(equation.params["lhs_dilation"]) > 1:
        places = math.prod(inputs[axis] for axis in numbers.lhs_spec[2:])
    images, out = outputs[numbers.out_spec[0]], outputs[numbers.out_spec[1]]
    return 2 * images * places * taps * into * out


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape


COUNTS: dict[str, Callable[[core.JaxprEqn], int]] = {
    "dot_general": _matrix_product,
    "conv_general_dilated": _convolution,
}
