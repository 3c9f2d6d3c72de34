"""Checks of what a config or a record of ours holds, field by field.

What comes from a command line or from a file may be anything: words in the place of
numbers, numbers that no device can hold, NaN. Each is refused by its name.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from train.base.errors import UserError

LARGEST = 2**31 - 1  # of the integers that a device computes with by default
_NAMES = {
    str: ("text", "texts"), bool: ("True or False", "booleans"),
    float: ("a finite number", "finite numbers"), int: ("an integer", "integers"),
}  # fmt: skip


def check(name: str, value: Any, kind: Any) -> None:
    """Raises `UserError` unless `value` is of a kind.

    Args:
      name: of the field, for the message.
      value: what it holds.
      kind: str, bool, int, float, or a `Sequence` or `Mapping` of these by text. An
        integer is a float too, but a bool is no integer.
    """
    if not _is(value, kind):
        raise UserError(f"{name} must be {_named(kind, value)}, got {_short(value)}")


def check_object(where: Any, content: Any, **kinds: Any) -> dict[str, Any]:
    """Returns the content of a JSON file, an object that has fields of these kinds.

    Raises:
      UserError: it is something else; the message names `where`, the file.
    """
    if not isinstance(content, dict):
        raise UserError(f"{where} must hold a JSON object, got {_short(content)}")
    for name, kind in kinds.items():
        if name not in content:
            raise UserError(f"{where} lacks the field {name}")
        if not _is(content[name], kind):
            raise UserError(
                f"{where}: {name} must be {_named(kind, content[name])}, got "
                f"{_short(content[name])}"
            )
    return content


def _is(value: Any, kind: Any) -> bool:
    origin = get_origin(kind)
    if origin is Sequence:
        (entry,) = get_args(kind)
        return isinstance(value, list | tuple) and all(_is(v, entry) for v in value)
    if origin is Mapping:
        _, entry = get_args(kind)
        return isinstance(value, dict) and all(_is(v, entry) for v in value.values())
    if kind is int:
        return type(value) is int and abs(value) <= LARGEST
    if kind is float:
        return type(value) in (int, float) and abs(value) <= sys.float_info.max
    return isinstance(value, kind)


def _named(kind: Any, value: Any) -> str:
    """In words, what `value` should have been."""
    if type(value) is int and kind is int:
        return f"at most {LARGEST}" if value > 0 else f"at least {-LARGEST}"
    if get_origin(kind) is None:
        return _NAMES[kind][0]
    if get_origin(kind) is Mapping:
        return f"an object of {_plural(get_args(kind)[-1])}"
    small = f" up to {LARGEST}" if kind == Sequence[int] else ""
    return f"a list of {_plural(get_args(kind)[0])}{small}"


def _plural(kind: Any) -> str:
    if get_origin(kind) is None:
        return _NAMES[kind][1]
    return f"lists of {_plural(get_args(kind)[0])}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
