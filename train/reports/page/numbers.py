"""Numbers as people read them, and round numbers for the ticks of an axis."""

import math
import sys
from collections.abc import Sequence

THIN = "\u202f"  # a narrow space that does not break


def percent(share: object) -> str:
    """A share in percent with one decimal; a dash for what is no number.

    >>> percent(0.9577).replace(THIN, " "), percent(None)
    ('95.8 %', '–')
    """
    return f"{100 * share:.1f}{THIN}%" if is_number(share) else "–"  # type: ignore[operator]


def short(value: object) -> str:
    """A number with four digits, in words where it is not finite.

    >>> short(0.123456), short(1437), short(float("nan")), short(True)
    ('0.1235', '1437', 'not a number', 'True')
    """
    if type(value) is not float:
        return str(value)
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    return f"{value:.4g}"


def is_number(value: object) -> bool:
    """Whether it is a finite number, and no bool."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= sys.float_info.max
    )


def duration(seconds: float) -> str:
    """
    >>> duration(61.7), duration(5400), duration(3.2)
    ('1 min 2 s', '1 h 30 min', '3 s')
    """
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def listed(words: Sequence[str]) -> str:
    """
    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def counted(count: int, noun: str) -> str:
    """
    >>> counted(1, "run"), counted(6, "run"), counted(20, "run")
    ('one run', 'six runs', '20 runs')
    """
    words = [
        "no",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
    ]
    number = words[count] if count < len(words) else f"{count:,}"
    return f"{number} {noun}{'' if count == 1 else 's'}"


def step(low: float, high: float, about: int = 5) -> float:
    """The distance of round numbers, about so many of which lie from low to high."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * 0.999)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, about so many.

    >>> ticks(0, 1), ticks(3, 3)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [3])
    """
    if not high > low:
        return [low]
    size = step(low, high, about)
    first, last = math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9)
    return [round(number * size, 12) for number in range(first, last + 1)]


def outward(low: float, high: float) -> tuple[float, float]:
    """The nearest round numbers that have both between them.

    >>> outward(0.13, 0.87)
    (0.0, 1.0)
    """
    if not high > low:
        return low, high
    size = step(low, high)
    first, last = math.floor(low / size + 1e-9), math.ceil(high / size - 1e-9)
    return round(first * size, 12), round(last * size, 12)


def tick_label(value: float) -> str:
    """
    >>> tick_label(20000.0), tick_label(0.05), tick_label(0.0), tick_label(2e-7)
    ('20k', '0.05', '0', '2e-07')
    """
    if abs(value) >= 10000 and value % 100 == 0:
        return f"{value / 1000:g}k"
    return f"{value:g}"
