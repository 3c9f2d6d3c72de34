"""The flag `--config`: loads a config file, whose fields further flags override."""

import difflib
import os
import re
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from train.base.config import Config
from train.base.errors import UserError
from train.cli import parsers


def define_config(
    values: flags.FlagValues, argv: Sequence[str], default: str | None, text: str
) -> None:
    """Defines `--config`, a file whose fields further flags override."""
    config_flags.DEFINE_config_file(
        "config", default, text, flag_values=values, sys_argv=list(argv)
    )
    flag = values["config"]
    overrides = (re.match(r"--?(?:no)?config\.([^=]*)", each) for each in argv)
    flag.parser = _ConfigParser(flag.parser, [each[1] for each in overrides if each])


def load(argument: str, overrides: Sequence[str] = ()) -> Config:
    """The config that `python -m train` would have with this command line.

    Args:
      argument: the value of `--config`: a file, and its options after a colon.
      overrides: flags `--config.FIELD=VALUE`.

    Raises:
      UserError: the file cannot be loaded, or it has no such option or field, or the
        field takes no such value.
    """
    values = flags.FlagValues()
    argv = ["load", f"--config={argument}", *overrides]
    try:
        define_config(values, argv, None, "A file of configs/.")
        parsers.replace(values)
        values(argv)
    except parsers.ERRORS as error:
        raise UserError(str(parsers.innermost(error))) from error
    return values.config


def apart(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """A command line without its overrides, and the overrides.

    The value of `--config=` becomes an argument without a flag.

    >>> apart(["tune", "--config=x.py", "--config.seed=1", "--trials=3"])
    (['tune', 'x.py', '--trials=3'], ['--config.seed=1'])
    """
    overrides = [each for each in argv[1:] if re.match(r"--?(no)?config\.", each)]
    rest = [each for each in argv if each not in overrides]
    return [re.sub(r"^--?config=", "", each) for each in rest], overrides


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
    """Raises `flags.Error` unless the config has the dotted field, and no section."""
    value = config
    for name in field.split("."):
        if not isinstance(value, ConfigDict) or name not in value:
            hint = _hint(field, list(_fields(config)))
            raise flags.Error(f"the config has no field {field}{hint}")
        value = value[name]
    if isinstance(value, ConfigDict):
        names = ", ".join(_fields(value, f"{field}."))
        raise flags.Error(f"{field} is a section of the config; its fields: {names}")


def _fields(section: Any, prefix: str = "") -> Iterator[str]:
    """The dotted names of all fields."""
    for name, value in section.items():
        if isinstance(value, ConfigDict):
            yield from _fields(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _hint(field: str, known: list[str]) -> str:
    """The known fields that `field` may stand for: `lr` is learning_rate."""
    given = field.rpartition(".")[2]
    named = {name: name.rpartition(".")[2] for name in known}
    exact = [name for name, last in named.items() if last == given]
    short = [name for name, last in named.items() if _initials(last) == given]
    near = difflib.get_close_matches(field, known, n=2, cutoff=0.8)
    alike = difflib.get_close_matches(given, named.values(), n=2, cutoff=0.75)
    likely = [name for name, last in named.items() if last in alike]
    found = list(dict.fromkeys([*exact, *short, *near] or likely))[:3]
    return f"; did you mean {' or '.join(found)}?" if found else ""


def _initials(name: str) -> str:
    return "".join(word[:1] for word in name.split("_"))


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
