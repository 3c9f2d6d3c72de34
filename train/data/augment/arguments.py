"""Checks of arguments that several augmentations share."""

from train.base.errors import UserError


def within(low: float, high: float, **values: float) -> None:
    """Raises `UserError` unless the named values lie in `[low, high]`.

    >>> within(0, 255, fill=0)
    """
    for name, value in values.items():
        if not low <= value <= high:
            raise UserError(f"{name} must lie in [{low:g}, {high:g}], got {value}")
