"""Reduces the training part to the examples that a text file lists, one a line.

`data.label_list` has the same form.

A line is an index into the training part. For a folder of images it can be the path of
a file instead, optionally followed by its label, and only the components from the
class on count: `train/n01440764/n01440764_190.JPEG 0`.
"""

from collections.abc import Iterator
from typing import NoReturn

import numpy as np

from train.base import files
from train.base.errors import UserError
from train.data.formats.encoded import Encoded
from train.data.splits import Split, View, part_of


def select(split: Split, path: str, class_names: tuple[str, ...] | None) -> View:
    """A view of the examples that the file `path` lists; see `positions`."""
    return part_of(split, positions(split, "data.train_list", path, class_names))


def positions(
    split: Split, field: str, path: str, class_names: tuple[str, ...] | None
) -> np.ndarray:
    """The positions of the examples that the file `path` lists, in rising order.

    Args:
      split: the source's training part.
      field: of the config, that names the file.
      path: of the text file, whose empty lines are ignored.
      class_names: in the order of the labels, or None if the source has none.

    Raises:
      UserError: the file is missing or empty, or a line names an example that does not
        exist, was listed before, or has another label.
    """
    title = f"{field}: {path!r}"
    lines = list(_lines(field, path))
    if not lines:
        raise UserError(f"{title} lists no example")
    find = _by_index if _is_index(lines[0][1]) else _by_path
    numbers, indices = zip(*find(split, lines, title, class_names), strict=True)
    _check_distinct(numbers, indices, title)
    return np.sort(np.asarray(indices, np.int64))


def _lines(field: str, path: str) -> Iterator[tuple[int, str]]:
    """The numbers, from 1, and texts of the lines that are not empty."""
    try:
        text = files.named(path, field).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{field}: {path!r} cannot be read: {error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, line.strip()


def _is_index(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _by_index(
    split: Split, lines: list[tuple[int, str]], title: str, _: object
) -> Iterator[tuple[int, int]]:
    for number, line in lines:
        if not _is_index(line):
            _refuse(
                title, number, f"{line!r} must be an index, since the first line is one"
            )
        if not 0 <= int(line) < len(split):
            _refuse(
                title, number,
                f"indices must be from 0 to {len(split) - 1}, got {line}",
            )  # fmt: skip
        yield number, int(line)


def _by_path(
    split: Split,
    lines: list[tuple[int, str]],
    title: str,
    class_names: tuple[str, ...] | None,
) -> Iterator[tuple[int, int]]:
    files = split.records.files if isinstance(split, Encoded) else None
    if files is None or class_names is None:
        number, line = lines[0]
        _refuse(
            title, number,
            f"{line!r} must be an index: only a folder's files can be listed by path",
        )  # fmt: skip
    positions = {file: index for index, file in enumerate(files)}
    for number, line in lines:
        listed, label = _parsed(line)
        file = next(filter(positions.__contains__, _endings(listed)), None)
        if file is None:
            *_, shortest = _endings(listed)
            _refuse(title, number, f"the training part has no file {shortest!r}")
        index = positions[file]
        own = int(split.labels[index])
        if label is not None and label != own:
            _refuse(
                title, number,
                f"the label of {file!r} is {label} there, but its class "
                f"{class_names[own]!r} has the label {own} in the order of the folders",
            )  # fmt: skip
        yield number, index


def _parsed(line: str) -> tuple[str, int | None]:
    """The path, and the label or None if the line does not end with one."""
    *name, last = line.rsplit(maxsplit=1)
    labelled = bool(name) and _is_index(last)
    return name[0] if labelled else line, int(last) if labelled else None


def _endings(path: str) -> Iterator[str]:
    """The path, without its first component, and so on until two are left."""
    yield path
    while path.count("/") > 1:
        path = path.partition("/")[2]
        yield path


def _check_distinct(
    numbers: tuple[int, ...], indices: tuple[int, ...], title: str
) -> None:
    first: dict[int, int] = {}
    for number, index in zip(numbers, indices, strict=True):
        if index in first:
            _refuse(title, number, f"the same example as in line {first[index]}")
        first[index] = number


def _refuse(title: str, number: int, problem: str) -> NoReturn:
    raise UserError(f"{title}, line {number}: {problem}")
