"""Errors that are the user's to mend: shown as one sentence, without a traceback."""


class UserError(Exception):
    """Its message names what was given and what is allowed, or what to do."""
