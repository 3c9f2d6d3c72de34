"""Errors that are the user's to mend: shown as one sentence, without a traceback."""

import contextlib
from collections.abc import Iterator


class UserError(Exception):
    """Its message names what was given and what is allowed, or what to do."""


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turns the library's complaints about arguments into the user's."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from error
