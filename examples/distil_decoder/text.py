"""Python's documentation of itself, cut into the byte pairs that are frequent in it.

Every Python has the text: the help topics of `pydoc`, and the docstrings of the
standard library, about 2 MB (Python Software Foundation License). Another version of
Python has another text, so perplexities compare only within one version.
"""

import ast
import collections
import pathlib
import re
import sysconfig
from collections.abc import Iterable, Iterator
from pydoc_data import topics

import numpy as np

SKIPPED = {"test", "tests", "idle_test", "site-packages", "dist-packages", "lib2to3"}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
WORD = re.compile(rb" ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+")  # no pair crosses two
END = -1  # of a word


def documents() -> Iterator[str]:
    """The help topics, and the docstrings of one module each."""
    yield from topics.topics.values()
    root = pathlib.Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        if SKIPPED.isdisjoint(path.relative_to(root).parts):
            nodes = ast.walk(ast.parse(path.read_bytes()))
            texts = [ast.get_docstring(x) for x in nodes if isinstance(x, DOCUMENTED)]
            yield "\n\n".join(filter(None, texts))


def parts(given: Iterable[str]) -> dict[str, bytes]:
    """Every tenth document is held out: by turns to choose settings by, and to test."""
    texts = [text.encode() + b"\0" for text in given]
    train = [text for index, text in enumerate(texts) if index % 10 != 4]
    found = {"train": train, "tuning": texts[4::20], "test": texts[14::20]}
    return {name: b"".join(part) for name, part in found.items()}


def learned(text: bytes, size: int) -> np.ndarray:
    """The pairs `[size - 256, 2]`: pair i is piece 256 + i, pieces below are bytes.

    Raises:
      ValueError: the text has no pairs for so many pieces, or `size` is below 256.
    """
    if size < 256:
        raise ValueError(f"a vocabulary has 256 bytes at least, got size {size}")
    words = collections.Counter(WORD.findall(text))
    counts, x, pairs = np.array([*words.values(), 0]), _joined(words), []
    for new in range(256, size):
        is_pair = (x[:-1] != END) & (x[1:] != END)
        if not is_pair.any():
            raise ValueError(f"the text has {new} pieces at most, got size {size}")
        codes, weights = x[:-1] * new + x[1:], counts[np.cumsum(x == END)][:-1]
        frequencies = np.bincount(codes[is_pair], weights=weights[is_pair])
        left, right = divmod(int(frequencies.argmax()), new)
        pairs.append((left, right))
        x = _merged(x, left, right, new)
    return np.array(pairs, int).reshape(-1, 2)


def encoded(text: bytes, pairs: np.ndarray) -> np.ndarray:
    """The pieces of a text, integers below 256 + len(pairs)."""
    words = WORD.findall(text)
    known = list(dict.fromkeys(words))
    x = _joined(known)
    for new, (left, right) in enumerate(pairs, start=256):
        x = _merged(x, left, right, new)
    pieces = np.split(x, np.flatnonzero(x == END) + 1)
    of_word = {word: found[:-1] for word, found in zip(known, pieces, strict=False)}
    return np.concatenate([of_word[word] for word in words]).astype(np.int32)


def windows(pieces: np.ndarray, length: int) -> np.ndarray:
    """`[N, length + 1]`: each begins with the last piece of the one before."""
    starts = np.arange(0, len(pieces) - length, length)
    return pieces[starts[:, None] + np.arange(length + 1)]


def _joined(words: Iterable[bytes]) -> np.ndarray:
    return np.array([piece for word in words for piece in (*word, END)])


def _merged(x: np.ndarray, left: int, right: int, new: int) -> np.ndarray:
    """The pieces with `new` for each pair, from the left: in aaa, the first two."""
    starts = np.flatnonzero((x[:-1] == left) & (x[1:] == right))
    if left == right:
        order = np.arange(len(starts))
        run_starts = np.where(np.diff(starts, prepend=-2) > 1, order, 0)
        starts = starts[(order - np.maximum.accumulate(run_starts)) % 2 == 0]
    merged = x.copy()
    merged[starts] = new
    return np.delete(merged, starts + 1)
