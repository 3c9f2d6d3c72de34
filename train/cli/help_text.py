"""What `--help` prints: how to call a command, examples, its flags, the configs."""

import ast
import pathlib
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict

WIDTH = 80
CONFIGS = pathlib.Path(__file__).parent.parent.parent / "configs"
EXAMPLE = r"`(python -m train[^`]+)`"
ITEM = "\0"  # where an item of a list begins, while lines are joined
ABSL = ("flagfile", "undefok")  # flags that absl adds


def of(
    values: flags.FlagValues,
    argv: Sequence[str],
    about: str,
    *,
    examples: Sequence[str],
    required: Sequence[str],
    positional: str | None,
) -> str:
    """The text for a command.

    Args:
      values: its flags, defined and not parsed.
      argv: the command line, whose `--config` is the one that is described.
      about: what the command does. Command lines in backticks in it are examples.
      examples: further command lines.
      required: flags that must be given.
      positional: the flag that takes the arguments without a flag.
    """
    found = [" ".join(line.split()) for line in re.findall(EXAMPLE, about)]
    examples = [*found, *examples]
    name = examples[0].split()[2]
    usage = [f"python -m {name}", *(f"--{flag}=..." for flag in required)]
    last = f"{positional.upper()} ..." if positional else "[--FLAG=VALUE ...]"
    parts = [f"usage: {' '.join([*usage, last])}", _wrapped(about, "")]
    parts.append("\n".join(["examples:", *(f"  {line}" for line in examples)]))
    names = [each for each in values if each not in (*ABSL, "config")]
    names = [*required, *(each for each in sorted(names) if each not in required)]
    if "config" in values and "config" not in names:
        names.insert(0, "config")
    shown = [_flag(values[each], each in required) for each in names]
    parts.append("\n".join(["flags:", *shown]))
    if "config" in values:
        parts.append("\n".join(["configs:", *_configs()]))
        parts.append("\n".join(_fields(values, argv)))
    return "\n\n".join(parts)


def _flag(flag: flags.Flag, required: bool) -> str:
    """A flag, whether it is required, what it does and its default."""
    shown = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}=VALUE"
    if isinstance(flag, flags.EnumFlag):
        shown = f"--{flag.name}={'|'.join(flag.parser.enum_values)}"  # type: ignore[attr-defined]
    known = flag.default is not None and flag.name != "config"
    default = f" Default: {flag.default}." if known and not flag.boolean else ""
    text = f"{'Required. ' if required else ''}{flag.help}{default}"
    return f"  {shown}\n{_wrapped(text, '      ')}"


def _configs() -> Iterator[str]:
    """Every file of configs/ that is a config, with the first line of its docstring."""
    for path in sorted(CONFIGS.glob("*.py")):
        tree = ast.parse(path.read_text())
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        if any(node.name == "get_config" for node in functions):
            first = (ast.get_docstring(tree) or "").partition("\n")[0]
            yield f"  configs/{path.name}"
            yield _wrapped(first, "      ")


def _fields(values: flags.FlagValues, argv: Sequence[str]) -> Iterator[str]:
    """The fields that flags can override, with the values of the config."""
    given = [each for each in argv if each.startswith(("--config=", "-config="))]
    name = given[-1].partition("=")[2] if given else str(CONFIGS / "base.py")
    config = values["config"].parser.parse(name)
    shown = name if given else "configs/base.py, which says what each means"
    yield f"fields of a config, with the values of {shown}:"
    for field, value in _flat(config):
        yield f"  --config.{field}={_short(value)}"


def _flat(section: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    plain = {n: v for n, v in section.items() if not isinstance(v, ConfigDict)}
    for name, value in plain.items():
        yield f"{prefix}{name}", value
    for name, value in section.items():
        if name not in plain:
            yield from _flat(value, f"{name}.")


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _wrapped(text: str, indent: str) -> str:
    marked = text.strip().replace("\n- ", f"{ITEM}- ")  # items of a list stay lines
    parts = [
        ITEM.join(" ".join(line.split()) for line in part.split(ITEM))
        for part in marked.split("\n\n")
    ]
    whole = [part for part in parts if not re.fullmatch(EXAMPLE, part)]
    paragraphs = [re.sub(":$", ".", part) for part in whole]  # its example is gone
    return "\n\n".join(
        "\n".join(_filled(line, indent) for line in part.split(ITEM))
        for part in paragraphs
    )


def _filled(line: str, indent: str) -> str:
    hanging = f"{indent}  " if line.startswith("- ") else indent
    return textwrap.fill(
        line, WIDTH, initial_indent=indent, subsequent_indent=hanging,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
