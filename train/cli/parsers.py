"""What the values of flags may look like, and what is said of those that may not."""

from typing import Any

from absl import flags
from ml_collections import config_flags

from train.base import numbers

# What absl and ml_collections raise for a command line that cannot be used.
ERRORS = (flags.Error, LookupError, AttributeError, TypeError, ValueError)


class Number(flags.FloatParser):
    """A number, or a fraction of two: 8/255."""

    def convert(self, argument: Any) -> float:
        return numbers.parsed(str(argument))


class Integer(flags.IntegerParser):
    """An integer in decimal digits."""

    def convert(self, argument: Any) -> int:
        try:
            return int(argument)
        except ValueError:
            raise ValueError("it must be an integer") from None


class Boolean(flags.BooleanParser):
    """True or False, in the words that absl takes for them."""

    def parse(self, argument: Any) -> bool:
        try:
            return super().parse(argument)
        except ValueError:
            raise ValueError("it must be True or False") from None


_PARSERS = {
    flags.FloatParser: Number(),
    flags.IntegerParser: Integer(),
    flags.BooleanParser: Boolean(),
}
# The fields of a config get theirs when `--config` is parsed.
for _type, _base in (
    (float, flags.FloatParser),
    (int, flags.IntegerParser),
    (bool, flags.BooleanParser),
):
    config_flags.register_flag_parser_for_type(_type, _PARSERS[_base])


def replace(values: flags.FlagValues) -> None:
    """Gives these parsers to flags that have absl's own."""
    for name in values:
        flag = values[name]
        flag.parser = _PARSERS.get(type(flag.parser), flag.parser)


def innermost(error: object) -> object:
    """The message of an error; ml_collections wraps one error in another."""
    while isinstance(error, Exception) and error.args:
        error = error.args[0]
    return error
