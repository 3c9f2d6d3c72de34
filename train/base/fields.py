"""Checks of a config section's fields, each by itself: `UserError`s name the field.

`section` is the section's name in the config, and "" for the fields of no section.
"""

from collections.abc import Iterable
from typing import Any

from ikl_jax import checks
from train.base.errors import UserError, explained


def one_of(section: str, values: Any, **allowed: Iterable[str]) -> None:
    """Refuses a field whose value is not among those allowed for it."""
    with explained():
        for name, known in allowed.items():
            checks.one_of(_full(section, name), getattr(values, name), known)


def positive(section: str, values: Any, *names: str) -> None:
    """Refuses a field that is not above zero."""
    with explained():
        checks.positive(**_named(section, values, names))


def non_negative(section: str, values: Any, *names: str) -> None:
    """Refuses a field below zero."""
    with explained():
        checks.non_negative(**_named(section, values, names))


def shares(section: str, values: Any, *names: str) -> None:
    """Refuses a field outside [0, 1]."""
    with explained():
        checks.within(0, 1, **_named(section, values, names))


def below_one(section: str, values: Any, *names: str) -> None:
    """Refuses a field outside [0, 1)."""
    for name, value in _named(section, values, names).items():
        if not 0 <= value < 1:
            raise UserError(f"{name} must lie in [0, 1), got {value:g}")


def _named(section: str, values: Any, names: Iterable[str]) -> dict[str, Any]:
    return {_full(section, name): getattr(values, name) for name in names}


def _full(section: str, name: str) -> str:
    return f"{section}.{name}" if section else name
