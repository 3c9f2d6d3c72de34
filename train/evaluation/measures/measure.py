"""The form of a measure, and of a flag that it brings."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from train.evaluation.judgement import Judgement
from train.evaluation.measures.context import Context

# Common options of measures that attack by PGD.
ATTACK = ("norm", "epsilon", "steps", "restarts", "relative_step_size", "seed")


def _anything(value: Any) -> None:
    pass


class Option(NamedTuple):
    """A flag of `train.evaluate` that only some measures read.

    Attributes:
      name: of the flag, without dashes.
      kind: str, int or float.
      default: its value where it is not given; None: there is none.
      text: what it means, for `--help`.
      check: raises `ValueError` or `UserError` for a value that cannot be used.
      required: whether the measure needs it to be given.
    """

    name: str
    kind: type
    default: Any
    text: str
    check: Callable[[Any], None] = _anything
    required: bool = False


class Finding(NamedTuple):
    """What a measure found.

    Attributes:
      found: the field `found` of its record: numbers, texts, lists and objects, as JSON
        has them; None where a number is not defined.
      arrays: further arrays of its per-example file. It has `index`, `label`,
        `predicted` and `logits` already.
    """

    found: dict[str, Any]
    arrays: dict[str, np.ndarray]


class Prepared(NamedTuple):
    """A measure that has checked what it needs, and can begin.

    Attributes:
      arguments: fields of the record besides those that every record has: all that the
        measure's results depend on.
      find: does the work. It is given the judgement without results, whose name and
        digest a journal needs that the work goes on from when it was stopped.
      title: what the record's name says after the measure's, such as " of noise".
    """

    arguments: dict[str, Any]
    find: Callable[[Judgement], Finding]
    title: str = ""


class Measure(NamedTuple):
    """A measure.

    Attributes:
      name: what `--measure` is given.
      prepare: raises `UserError` where the model, the data or a flag do not fit, before
        any work begins.
      options: its own flags.
      common: names of the common options that it reads, such as those in `ATTACK`;
        `num_examples` and `picture` apply to every measure.
      needs_features: whether it looks at the features of the pass.
    """

    name: str
    prepare: Callable[[Context], Prepared]
    options: tuple[Option, ...] = ()
    common: tuple[str, ...] = ()
    needs_features: bool = False
