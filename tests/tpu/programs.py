"""Programs for the chips of a topology, and what they move between chips."""

import collections
import math
import re
from typing import NamedTuple

import jax
import pytest

from train.devices import sharding, topology
from train.planning import hlo

CHIPS = "v5e:2x2"
# JAX keeps programs for absent chips between runs, but cannot read them again.
UNREADABLE = "ignore:Error reading persistent compilation cache entry"
MARKS = [pytest.mark.tpu, pytest.mark.filterwarnings(UNREADABLE)]
# Bytes that the compiler adds where chips wait for each other, and what they agree by.
BARRIER = 4 * 128
FLAG = "all-reduce", hlo.HloArray("u32", ())
GATHERS = ("all-gather", "all-to-all", "collective-permute")


def create_mesh(shape=(-1, 1)):
    return sharding.create_mesh(shape, topology.devices(CHIPS))


def placed(tree, place):
    """Shapes of the arrays of a tree, all with one sharding, or each with its own."""
    places = place if not isinstance(place, jax.sharding.Sharding) else None
    if places is None:
        places = jax.tree.map(lambda _: place, tree)
    return jax.tree.map(
        lambda leaf, to: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=to),
        tree, places,
    )  # fmt: skip


def compiled(jitted, *arguments, **static):
    traced = jitted.trace(*arguments, **static)
    return traced.lower(lowering_platforms=("tpu",)).compile()


class Moved(NamedTuple):
    """Kinds of collectives with the arrays that they move, and how many of each.

    Attributes:
      once: in a call of the program.
      looped: in a round of each loop.
    """

    once: collections.Counter
    looped: collections.Counter

    @property
    def arrays(self):
        return set(self.once) | set(self.looped)

    def num_bytes(self, *kinds):
        """All bytes of these kinds, with those of one round of each loop."""
        return _num_bytes(self.once, kinds) + _num_bytes(self.looped, kinds)


def moved(program):
    found = Moved(collections.Counter(), collections.Counter())
    blocks = _computations(program.as_text())
    looped = _in_loops(blocks)
    for name, lines in blocks.items():
        counts = found.looped if name in looped else found.once
        for each in hlo.collectives("\n".join(lines)):
            counts.update((each.kind, array) for array in each.arrays)
    return found


def _computations(text):
    """The lines of each computation, by its name."""
    blocks, lines = {}, []
    for line in text.splitlines():
        if match := re.match(r"(?:ENTRY )?%?([\w.-]+) .*\{$", line):
            blocks[match[1]] = lines = []
        elif line.startswith(" "):
            lines.append(line)
    return blocks


def _in_loops(blocks):
    """The names of what loops run, and of what that calls."""
    called = re.compile(r"(?:body|condition|calls|to_apply)=%?([\w.-]+)")
    calls = {name: called.findall("\n".join(blocks[name])) for name in blocks}
    loops = [line for lines in blocks.values() for line in lines if " while(" in line]
    waiting, found = called.findall("\n".join(loops)), set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += calls.get(name, [])
    return found


def _num_bytes(counts, kinds):
    return sum(
        array.num_bytes * count
        for (kind, array), count in counts.items()
        if kind in kinds
    )


def of_batch_by_classes(arrays, batch, classes):
    """The arrays that hold an entry for each class of some examples.

    Choose sizes that no other array has: `batch` and its parts, and `classes` and its
    parts.
    """
    rows = {
        2 * batch // share for share in range(1, 2 * batch) if 2 * batch % share == 0
    }
    rows = {size for size in rows if size > 4}
    columns = {classes, classes // 2}
    flat = {row * column for row in rows for column in columns}
    return [
        (kind, array)
        for kind, array in arrays
        if (rows & set(array.shape) and columns & set(array.shape))
        or (len(_long(array.shape)) == 1 and math.prod(array.shape) in flat)
    ]


def _long(shape):
    return [size for size in shape if size > 1]
