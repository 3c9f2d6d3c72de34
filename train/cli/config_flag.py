"""The flag `--config`: loads a config file, whose fields further flags override."""

import os
import re
import traceback
from collections.abc import Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags


class _ConfigParser(flags.ArgumentParser):
    """Loads a config file; whatever fails in it becomes one sentence.

    ml_collections, whose parser does the work, puts a traceback into the message of
    some errors, defers others until the config is used, and lets the rest through.
    """

    def __init__(self, parser: flags.ArgumentParser, overridden: list[str]) -> None:
        self._parser, self._overridden = parser, overridden

    def parse(self, argument: str) -> Any:
        try:
            config = self._parser.parse(os.path.expanduser(argument))
            hasattr(config, "name")  # raises a deferred error now
            if config is None:
                raise ValueError("its get_config returns nothing")
        except Exception as error:
            problem = _describe(_original(error))
            raise flags.Error(f"cannot load --config={argument}: {problem}") from error
        for field in self._overridden:
            _check_field(config, field)
        return config

    def flag_type(self) -> str:
        return self._parser.flag_type()


def _check_field(config: Any, field: str) -> None:
    """Raises `flags.Error` unless the config has the dotted field."""
    section = config
    for name in field.split("."):
        if not isinstance(section, ConfigDict):
            raise flags.Error(f"the config has no field {field}")
        try:
            section = section[name]
        except KeyError as error:
            _, _, hint = str(error.args[0]).partition("Did you mean")
            hint = hint and f"; did you mean{hint}"
            raise flags.Error(f"the config has no field {field}{hint}") from error


def _original(error: BaseException) -> BaseException:
    """The error that the config file raised, which ml_collections wraps."""
    if isinstance(error, OSError):
        return error.__cause__ or error
    wrapped = isinstance(error, (TypeError, ValueError)) and error.__context__
    return wrapped or error


def _describe(error: BaseException) -> str:
    """What went wrong, and where, unless the config chose the words itself."""
    if isinstance(error, OSError):
        return str(error).split("]")[-1].strip()  # ml_collections lists its attempts
    if isinstance(error, (ValueError, SyntaxError)):
        return str(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    ours = "ml_collections" not in last.filename
    place = f" ({last.filename}, line {last.lineno})" if ours else ""
    return f"{type(error).__name__}: {error}{place}"


def define_config(
    values: flags.FlagValues, argv: Sequence[str], default: str | None, text: str
) -> None:
    """Defines `--config`, a file whose fields further flags override."""
    config_flags.DEFINE_config_file(
        "config", default, text, flag_values=values, sys_argv=list(argv)
    )
    flag = values["config"]
    overrides = (re.match(r"--?(?:no)?config\.([\w.]+)", each) for each in argv)
    flag.parser = _ConfigParser(flag.parser, [each[1] for each in overrides if each])
