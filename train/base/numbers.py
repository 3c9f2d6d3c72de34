"""Numbers as a user writes them on a command line or in a file."""


def parsed(text: str) -> float:
    """A number, or a fraction of two.

    Raises:
      ValueError: it is neither.

    >>> parsed("0.5"), parsed("8/255") == 8 / 255
    (0.5, True)
    """
    top, slash, bottom = text.partition("/")
    try:
        return float(top) / float(bottom) if slash else float(top)
    except (ValueError, ZeroDivisionError):
        raise ValueError("it must be a number, or a fraction as 8/255") from None
