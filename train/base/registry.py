"""Registries: what a module imports, by name."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar


class Named(Protocol):
    @property
    def name(self) -> str: ...


Entry = TypeVar("Entry", bound=Named)


def by_name(scope: Mapping[str, Any], kind: type[Entry]) -> dict[str, Entry]:
    """The entries of a kind among a module's global names, by their own `name`.

    Args:
      scope: `globals()` of the module.
      kind: the class of the entries.

    Raises:
      ValueError: two entries have the same name.
    """
    found: dict[str, str] = {}
    for variable, entry in scope.items():
        if type(entry) is not kind:
            continue
        first = found.setdefault(entry.name, variable)
        if scope[first] is not entry:
            raise ValueError(
                f"{first} and {variable} in {scope['__name__']} have the same name, "
                f"{entry.name!r}"
            )
    return {name: scope[variable] for name, variable in found.items()}
