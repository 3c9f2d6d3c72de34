"""A function of rows, cut into passes over blocks of classes.

A block holds some classes of some rows, so the result of a reduction over the classes
is known only after all blocks of these rows. The level of a value is the number of such
reductions, one after another, on the longest way to it. Pass k reads the blocks and
computes the reductions of level k from them and from the results of lower levels. The
last pass also gives the results that have classes. So a value with classes is computed
again in each pass that needs it, and is never kept.

The equations are those that JAX traces the function to, for the shapes of a block; no
formula is written twice. The axis of the classes is recognised by its size, which no
other axis may have.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from jax.extend import core

from ikl_jax.kernels import equations
from ikl_jax.kernels.reductions import KINDS, Kind
from ikl_jax.types import Array

Load = Callable[[int], Array]  # the block of an argument, by its number
# Beginnings of the names of operations in which a class depends on others.
REFUSED = ("cum", "sort", "rev", "arg", "iota", "dot", "gather", "scatter", "conv_")


class Reduction(NamedTuple):
    """A reduction over the classes.

    Attributes:
      equation: JAX's.
      level: the pass that it belongs to.
      kind: sum, maximum, ...
      rows: the length of its total, `[rows, 1]`.
    """

    equation: core.JaxprEqn
    level: int
    kind: Kind
    rows: int


@dataclasses.dataclass(frozen=True)
class Passes:
    """The equations of a function of rows, for the shapes of a block, by passes.

    Attributes:
      jaxpr: the equations, without calls of functions.
      width: the classes of a block.
      classes: the classes of a row.
      reductions: over the classes, those of lower levels first.
      count: the number of passes.
    """

    jaxpr: core.Jaxpr
    width: int
    classes: int
    reductions: tuple[Reduction, ...]
    count: int

    @classmethod
    def create(
        cls,
        function: Callable[..., Any],
        blocks: Sequence[Any],
        width: int,
        classes: int,
        instead: Mapping[str, Callable[..., Array]] = MappingProxyType({}),
    ) -> "Passes":
        """Cuts a function.

        Args:
          function: maps arrays of two dimensions to a list of such arrays.
          blocks: the shapes and dtypes of a block of each argument.
          width: the classes of a block; no other dimension is as long.
          classes: the classes of a row.
          instead: functions to call instead of JAX's primitives of these names.

        Raises:
          NotImplementedError: an equation acts on the classes in a way that is neither
            elementwise nor a sum, a maximum, a minimum, an "any" or an "all".
        """
        jaxpr = equations.traced(function, blocks, instead)
        levels: dict[core.Var, int] = {}
        found = []
        for equation in equations.needed(jaxpr, jaxpr.outvars, ()):
            before = [levels.get(x, 0) for x in equations.variables(equation)]
            level = max(before, default=0)
            if _ends_a_pass(equation, width):
                found.append(_reduction(equation, level, width))
                level += 1
            levels |= dict.fromkeys(equation.outvars, level)
        last = [each.level for each in found]
        for x in jaxpr.outvars:
            if isinstance(x, core.Var) and width in equations.shape(x):
                last.append(levels.get(x, 0))
        found.sort(key=lambda each: each.level)
        return cls(jaxpr, width, classes, tuple(found), 1 + max(last, default=0))

    def at(self, level: int) -> list[int]:
        """The numbers of the reductions of a pass."""
        return [i for i, x in enumerate(self.reductions) if x.level == level]

    def reads(self, level: int) -> set[int]:
        """The numbers of the arguments whose blocks a pass reads."""
        wanted = [self.reductions[i].equation.invars[0] for i in self.at(level)]
        if level == self.count - 1:
            wanted += self.jaxpr.outvars
        known = {x.equation.outvars[0] for x in self.reductions if x.level < level}
        return equations.arguments(self.jaxpr, wanted, known)

    def partial(
        self, level: int, load: Load, totals: Sequence[Array], first: Any
    ) -> list[Array]:
        """What one block adds to each reduction of a pass, `[rows, 1]` each.

        Args:
          level: the pass.
          load: gives the blocks of the arguments.
          totals: of all reductions, complete where their level is lower.
          first: the number of the block's first class. Those from `classes` on do not
            count, whatever stands in them.
        """
        chosen = [self.reductions[i] for i in self.at(level)]
        operands = self._values(
            [x.equation.invars[0] for x in chosen], level, load, totals
        )
        return [
            x.kind.of_block(operand.reshape(x.rows, self.width), first, self.classes)
            for x, operand in zip(chosen, operands, strict=True)
        ]

    def results(
        self, load: Load, totals: Sequence[Array], *, have_classes: bool
    ) -> list[Array]:
        """The results with classes for a block, or those without, in the last pass.

        The results without classes need all totals, the others those of lower levels.
        """
        level = self.count - 1 if have_classes else self.count
        chosen = [
            x
            for x in self.jaxpr.outvars
            if (self.width in equations.shape(x)) == have_classes
        ]
        return self._values(chosen, level, load, totals)

    def _values(
        self, wanted: Sequence[Any], level: int, load: Load, totals: Sequence[Array]
    ) -> list[Array]:
        values: dict[core.Var, Array] = {}
        for reduction, total in zip(self.reductions, totals, strict=True):
            if reduction.level < level:
                (place,) = reduction.equation.outvars
                total = reduction.kind.opened(total)
                values[place] = total.reshape(equations.shape(place))
        return equations.solved(self.jaxpr, wanted, values, load)


def _ends_a_pass(equation: core.JaxprEqn, width: int) -> bool:
    """Whether an equation reduces the classes; refuses all but what is elementwise."""
    if all(width not in equations.shape(x) for x in equation.invars):
        return False
    name = equation.primitive.name
    if name.startswith(REFUSED):
        raise NotImplementedError(f"blocks of classes do not allow {name}")
    if any(width in equations.shape(x) for x in equation.outvars):
        return False
    if name not in KINDS:
        raise NotImplementedError(f"blocks of classes do not allow {name}")
    return True


def _reduction(equation: core.JaxprEqn, level: int, width: int) -> Reduction:
    (operand,) = equation.invars
    rows = math.prod(equations.shape(operand)) // width
    if math.prod(equations.shape(equation.outvars[0])) != rows:
        raise NotImplementedError("a function of rows does not reduce the rows")
    return Reduction(equation, level, KINDS[equation.primitive.name], rows)
