"""The space of a search: which fields of a config vary, and over which values.

As text it is a list of `FIELD=VALUES`, divided by spaces. `VALUES` is `LOW..HIGH`, a
range; `log:LOW..HIGH`, a range of which each factor is as likely as any other; or
`{A,B,C}`, a choice. A file of JSON holds an object of them: `{"FIELD": "log:1..40"}`,
and a choice may be a list.
"""

import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_origin

from train.base import config as sections
from train.base import contents, files, numbers
from train.base.errors import UserError

Value = bool | int | float | str
ENTRY = re.compile(r"\s*([\w.]+)=(\{[^{}]*\}|[^\s{}]+)(?=\s|$)")
FORMS = "FIELD=LOW..HIGH, FIELD=log:LOW..HIGH or FIELD={A,B}"
_TRUTH = {"true": True, "false": False}


@dataclasses.dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`, both included.

    Attributes:
      low: the least value; an integer if the field is one, as `high`.
      high: the greatest value.
      log: whether the logarithm is what is drawn evenly, and not the value.
    """

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        ends = f"{shown(self.low)}..{shown(self.high)}"
        return f"log:{ends}" if self.log else ends

    @property
    def ends(self) -> tuple[Value, ...]:
        """Values that must all be possible."""
        return (self.low, self.high)


@dataclasses.dataclass(frozen=True)
class Choices:
    """One of several values, in no order."""

    values: tuple[Value, ...]

    def __str__(self) -> str:
        return "{" + ",".join(map(shown, self.values)) + "}"

    @property
    def ends(self) -> tuple[Value, ...]:
        """Values that must all be possible."""
        return self.values


Space = Mapping[str, Range | Choices]


def shown(value: Value) -> str:
    """A value in its shortest form: `1` for 1.0.

    >>> shown(1.0), shown(0.05), shown(True), shown("ikl")
    ('1', '0.05', 'True', 'ikl')
    """
    return repr(value).removesuffix(".0") if type(value) is float else str(value)


def texts(space: Space) -> dict[str, str]:
    """Each field's values as text, which `of_texts` reads."""
    return {field: str(values) for field, values in space.items()}


def read(given: str) -> Space:
    """The space that a user gives: as text, or as the name of a JSON file.

    Raises:
      UserError: it cannot be read, or is empty, or a field is unknown or has values
        that are not of its type.
    """
    if given.strip().endswith(".json"):
        path = files.named(given.strip(), "--space")
        if not path.is_file():
            raise UserError(f"--space: there is no file {path}")
        return of_texts(contents.check_object(path, files.read_json(path)))
    return of_texts(_entries(given))


def of_texts(entries: Mapping[str, Any]) -> Space:
    """The space of `{field: values}`, where values are as text or a list of choices."""
    if not entries:
        raise UserError(f"--space is empty: write {FORMS}")
    kinds = dict(sections.kinds())
    return {name: _values(name, each, kinds) for name, each in entries.items()}


def _entries(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 0
    while text[position:].strip():
        entry = ENTRY.match(text, position)
        if entry is None:
            rest = text[position:].strip().split()[0]
            raise UserError(f"--space: cannot read {rest!r}: write {FORMS}")
        name, values = entry.groups()
        if name in found:
            raise UserError(f"--space names {name} more than once")
        found[name], position = values, entry.end()
    return found


def _values(name: str, given: Any, kinds: Mapping[str, Any]) -> Range | Choices:
    kind = kinds.get(name)
    if kind is None:
        near = difflib.get_close_matches(name, kinds, n=2, cutoff=0.8)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UserError(f"--space: a config has no field {name}{hint}")
    if get_origin(kind) is not None:
        raise UserError(
            f"--space: {name} is a list; a field that varies must be a number, a word "
            "or True or False"
        )
    what = f"--space: {name}"
    if isinstance(given, Sequence) and not isinstance(given, str):
        return _choices(what, [str(each) for each in given], kind)
    if not isinstance(given, str):
        raise UserError(f"{what} must be a text or a list, got {given!r}")
    if given.startswith("{") and given.endswith("}"):
        inside = [each.strip() for each in given[1:-1].split(",")]
        return _choices(what, [each for each in inside if each], kind)
    return _range(what, given, kind)


def _choices(what: str, given: Sequence[str], kind: Any) -> Choices:
    values = tuple(_value(what, each, kind) for each in given)
    if len(values) < 2 or len(set(values)) < len(values):
        raise UserError(
            f"{what} must be a choice of two or more different values, got "
            f"{Choices(values)}"
        )
    return Choices(values)


def _range(what: str, given: str, kind: Any) -> Range:
    log, text = given.startswith("log:"), given.removeprefix("log:")
    low, dots, high = text.partition("..")
    if not (low and dots and high):
        raise UserError(f"{what}: cannot read {given!r}: write {FORMS}")
    if kind not in (int, float):
        raise UserError(f"{what} is no number: write {{A,B}} and not {given}")
    ends = Range(_value(what, low, kind), _value(what, high, kind), log)
    if not ends.low < ends.high:
        raise UserError(f"{what}: {given} is an empty range; its first number must be "
                        "the smaller")  # fmt: skip
    if log and ends.low <= 0:
        raise UserError(f"{what}: a range with log: must begin above 0, got {given}")
    return ends


def _value(what: str, text: str, kind: Any) -> Any:
    """A value of a field of that kind; `UserError` if the text is none."""
    value: Any = text
    if kind is bool:
        value = _TRUTH.get(text.lower(), text)
    elif kind is float:
        try:
            value = numbers.parsed(text)
        except ValueError:
            value = text
    elif kind is int and re.fullmatch(r"[+-]?\d+", text):
        value = int(text)
    contents.check(what, value, kind)
    return value
