"""What a terminal shows of a record."""

from collections.abc import Iterator
from typing import Any

from train.base import terminal

# Fields that are printed with a line for each entry.
LISTED = ("stages", "notes", "worst_classes", "most_confused")
LONGEST = 5  # lists in what a measure found; longer ones are for a picture


def lines(record: dict[str, Any]) -> Iterator[str]:
    """All but the curve, which has a picture, and what is empty."""
    for field, value in record.items():
        if field == "curve" or value == {}:
            continue
        if field == "found":
            yield "found:"
            yield from _found(value)
        elif field not in LISTED or not value:
            yield terminal.shown(f"{field}: {_text(value)}")
        else:
            yield f"{field}:"
            yield from (terminal.shown(f"  {_text(entry)}") for entry in value)


def _found(found: dict[str, Any]) -> Iterator[str]:
    """The numbers of a measure; long lists stay in the file."""
    for name, value in found.items():
        if _is_table(value):
            yield terminal.shown(f"  {name}:")
            yield from (
                terminal.shown(f"    {k}: {_text(v)}") for k, v in value.items()
            )
            continue
        long = isinstance(value, list) and len(value) > LONGEST
        text = f"{len(value)} entries in the record" if long else _text(value)
        if text:  # an object of long lists has none
            yield terminal.shown(f"  {name}: {text}")


def _is_table(value: Any) -> bool:
    """Whether it is an object of objects that have more than long lists."""
    if not isinstance(value, dict) or not value:
        return False
    return all(isinstance(v, dict) and _text(v) for v in value.values())


def _text(value: Any) -> str:
    if isinstance(value, dict):
        parts = {
            name: _text(entry)
            for name, entry in value.items()
            if not (isinstance(entry, list) and len(entry) > LONGEST)
        }
        return ", ".join(f"{name} {text}" for name, text in parts.items() if text)
    if isinstance(value, list) and value and isinstance(value[0], dict | str):
        return "; ".join(map(_text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
