"""Finds an architecture's weights among the tensors of a file.

A wrapper (DataParallel, `torch.compile`, Lightning, a distiller with a student and a
teacher) puts a prefix before all names, and files hold tensors that the network does
not use. Both are removed and named. What is left must fit exactly.
"""

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from ikl_jax.models import torch_weights
from train.base.errors import UserError, explained
from train.networks import stored_normalization
from train.networks.stored_normalization import Normalize

COUNTER = "num_batches_tracked"  # of BatchNorm's batches; no network here has it


class Fitted(NamedTuple):
    """The weights of an architecture.

    Attributes:
      state_dict: for `models.from_torch`.
      prefix: that was removed from all names.
      normalize: mean and deviation of each channel that the file holds; None: none.
      normalize_from: their names in the file.
      left_out: names of tensors that the architecture has no layers for.
    """

    state_dict: dict[str, np.ndarray]
    prefix: str
    normalize: Normalize | None
    normalize_from: str
    left_out: list[str]


def fit(
    model: str,
    arrays: Mapping[str, np.ndarray],
    *,
    prefix: str | None = None,
    normalized: bool = False,
) -> Fitted:
    """Finds the weights of `model`.

    Args:
      model: a name for `models.create`.
      arrays: tensors by name.
      prefix: of the names; None: the one that fits.
      normalized: whether the normalisation is known, so that the file's is left out.

    Raises:
      UserError: several prefixes fit, or none does and a name occurs with two; or the
        file's normalisation cannot be used.
    """
    expected = _expected(model)
    named = {n: a for n, a in arrays.items() if not n.endswith(COUNTER)}
    if prefix is None:
        prefix = _prefix(model, expected, named)
    else:
        prefix = f"{prefix.removesuffix('.')}." if prefix else ""
        if not any(name.startswith(prefix) for name in named):
            begin = ", ".join(sorted({name.split(".")[0] for name in named}))
            raise UserError(f"--prefix={prefix}: the names begin with {begin}")
    inner = _without(prefix, named)
    foreign = _of_others(model)
    taken = {
        n: a
        for n, a in inner.items()
        if _belongs(n, expected) or n.split(".")[0] in foreign
    }
    others = {n: a for n, a in named.items() if n.removeprefix(prefix) not in taken}
    others |= {n: a for n, a in named.items() if not n.startswith(prefix)}
    normalize, names = stored_normalization.find({} if normalized else others)
    left_out = [name for name in others if name not in names]
    return Fitted(taken, prefix, normalize, " and ".join(names[:2]), left_out)


@functools.cache
def _expected(model: str) -> frozenset[str]:
    with explained():
        return frozenset(torch_weights.torch_names(model))


@functools.cache
def _of_others(model: str) -> frozenset[str]:
    return frozenset(torch_weights.torch_names_of_others(model))


def _without(prefix: str, named: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): array
        for name, array in named.items()
        if name.startswith(prefix)
    }


def _prefix(
    model: str, expected: frozenset[str], named: Mapping[str, np.ndarray]
) -> str:
    """The prefix under which the file has all of the architecture's names."""
    counts = Counter(p for name in named for p in _prefixes(name, expected))
    if not counts:
        return ""
    whole = sorted((p for p, n in counts.items() if n == len(expected)), key=len)
    if len(whole) == 1:
        return whole[0]
    fitting = [
        prefix
        for prefix in whole
        if not torch_weights.faults(model, _used(_without(prefix, named), expected))
    ]
    if len(fitting) > 1 and not _same(fitting, expected, named):
        names = " and ".join(repr(prefix) for prefix in fitting)
        raise UserError(
            f"{model} fits the tensors with the prefixes {names}: choose some with "
            f"--prefix={fitting[-1].removesuffix('.')}"
        )
    if fitting or whole:
        return (fitting or whole)[0]
    _refuse_twice(counts, named)
    return min(counts, key=lambda prefix: (-counts[prefix], len(prefix)))


def _prefixes(name: str, expected: frozenset[str]) -> Iterable[str]:
    """What stands before each expected name that `name` ends with."""
    parts = name.split(".")
    for start in range(len(parts)):
        if ".".join(parts[start:]) in expected:
            yield "".join(f"{part}." for part in parts[:start])


def _used(
    inner: Mapping[str, np.ndarray], expected: frozenset[str]
) -> dict[str, np.ndarray]:
    return {name: array for name, array in inner.items() if _belongs(name, expected)}


def _belongs(name: str, expected: frozenset[str]) -> bool:
    """Whether a tensor is the architecture's, or of a layer of a kind that it has.

    A network with more layers than `expected` must be refused, not cut off. Layers of
    one kind differ in numbers: layer1, layer2.
    """
    return name in expected or _kind(name) in _kinds(expected)


@functools.cache
def _kinds(expected: frozenset[str]) -> frozenset[str]:
    return frozenset(map(_kind, expected))


def _kind(name: str) -> str:
    return re.sub(r"\d+", "#", name.split(".")[0])


def _same(
    prefixes: list[str], expected: frozenset[str], named: Mapping[str, np.ndarray]
) -> bool:
    first, *others = prefixes
    return all(
        np.array_equal(named[first + name], named[other + name])
        for other in others
        for name in expected
    )


def _refuse_twice(counts: Counter[str], named: Mapping[str, np.ndarray]) -> None:
    """Refuses a name that occurs with two prefixes where neither has all names."""
    most = max(counts.values())
    found = defaultdict(list)
    for prefix in sorted((p for p, n in counts.items() if n == most), key=len):
        for name in _without(prefix, named):
            found[name].append(prefix)
    for name, prefixes in found.items():
        if len(prefixes) > 1:
            first, second, *_ = prefixes
            both = f"{first!r} and with" if first else "and without"
            raise UserError(f"the file has {name} with {both} {second!r}")
