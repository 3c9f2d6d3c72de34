"""Unpickles without running anything: what a pickle would call, it only names.

A pickle names classes and functions and says with which arguments to call them. Here no
such name is ever looked up. A few harmless ones (dictionaries, paths, bytes) have
stand-ins below; torch's tensors have theirs in `tensors`. All others become `Inert`
objects, which hold what was said about them and do nothing.
"""

import io
import pickle
import sys
from collections.abc import Callable, Mapping
from typing import IO, Any


def _made(cls: Any, *args: Any) -> Any:
    made = object.__new__(cls)
    made.args, made.state = args, None
    return made


class _Named(type):
    """The metaclass of `Inert`, whose classes stand for names in a pickle."""

    # `cls.__new__` makes an object, as pickle does for an instance of a plain class;
    # only a call of something else than that arrives here.
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        cls.called.append(cls.pickled_name)
        return _made(cls, *args)

    pickled_name: str
    called: list[str]


class Inert(metaclass=_Named):
    """An object of a class, or the result of a call, that a pickle names.

    Attributes:
      pickled_name: of the class or function, with its module.
      args: of the call.
      state: what the pickle puts into the object.
    """

    pickled_name = ""
    called: list[str] = []  # noqa: RUF012
    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any, **kwargs: Any) -> "Inert":
        return _made(cls, *args)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        """An entry of a dictionary of a foreign class."""

    def append(self, item: Any) -> None:
        """An item of a list of a foreign class."""

    def extend(self, items: Any) -> None:
        """Items of a list of a foreign class."""

    def add(self, item: Any) -> None:
        """An item of a set of a foreign class."""


class Dictionary(dict[Any, Any]):
    """Stands for dictionaries of other classes; what else they hold is dropped."""

    def __init__(self, *args: Any) -> None:
        super().__init__()
        for content in args:  # a defaultdict begins with the name of a factory
            if isinstance(content, Mapping | list):
                self.update(content)

    def __setstate__(self, state: Any) -> None:
        """torch's versions of the layers, which need none here."""


def _encoded(text: str, encoding: str) -> bytes:
    """How bytes are written in old protocols."""
    return text.encode("latin1" if encoding == "latin1" else "utf-8")


def _joined(*parts: Any) -> str:
    return "/".join(map(str, parts))


# Calls that occur beside published weights.
HARMLESS: dict[str, Callable[..., Any]] = {
    "_codecs.encode": _encoded,
    "builtins.bytearray": lambda *args: bytearray(
        args[0] if args and isinstance(args[0], bytes) else b""
    ),
    "builtins.complex": lambda *args: complex(*args),
    "builtins.frozenset": lambda *args: frozenset(*args),
    "builtins.set": lambda *args: set(*args),
    "collections.Counter": Dictionary,
    "collections.OrderedDict": Dictionary,
    "collections.defaultdict": Dictionary,
    **{
        f"pathlib.{kind}{name}": _joined
        for kind in ("", "Pure")
        for name in ("Path", "PosixPath", "WindowsPath")
    },
}
# Calls of Python's own that make plain data, which stays inert.
_PLAIN = (
    "argparse.", "collections.", "copyreg._reconstructor", "datetime.", "decimal.",
    "enum.", "fractions.", "functools.partial", "random.", "types.SimpleNamespace",
    "uuid.", "builtins.range", "builtins.slice", "builtins.object",
)  # fmt: skip
_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}


class Unpickler(pickle._Unpickler):
    """Reads one pickle of a file.

    The base class is the one in Python: the one in C reserves as many gigabytes as a
    damaged pickle asks for.

    Args:
      file: open at the pickle.
      known: what else to call by its name, such as torch's functions for tensors.
      persistent: makes an object from a persistent id, if the pickle may have some.
    """

    def __init__(
        self,
        file: IO[bytes] | io.BytesIO,
        known: Mapping[str, Callable[..., Any]],
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(file, encoding="utf-8", errors="surrogateescape")
        self._known, self._persistent = {**HARMLESS, **known}, persistent
        self._inert: dict[str, Any] = {}
        self.called: list[str] = []

    def find_class(self, module: str, name: str) -> Any:
        full = f"{_PYTHON_2.get(module, module)}.{name}"
        if full in self._known:
            return self._known[full]
        if full not in self._inert:
            fields = {"pickled_name": full, "called": self.called}
            self._inert[full] = _Named("Inert", (Inert,), fields)
        return self._inert[full]

    def persistent_load(self, pid: Any) -> Any:
        if self._persistent is None:
            raise pickle.UnpicklingError("it refers to objects outside the pickle")
        return self._persistent(pid)

    def suspicious(self) -> str | None:
        """The first call of Python's own functions that makes more than plain data.

        It was not made here. But the file is not what it seems, and whoever loads it
        with `pickle` runs it.
        """
        for name in self.called:
            own = name.split(".")[0] in sys.stdlib_module_names
            if own and not name.startswith(_PLAIN):
                return name
        return None
