"""Checkpoints: Orbax, asynchronous, checked when they are read.

A checkpoint is a pytree of arrays and a JSON object, its `position`. Files can be
damaged in ways that nothing below notices (a flipped bit restores as another number).
So each carries a digest of every leaf, and where one cannot be read or does not match,
the next older is used.
"""

import json
import pathlib
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from ikl_jax.types import Array, PyTree
from train.base.errors import UserError
from train.devices import processes, sharding

Report = Callable[[str], None]


class Saved(NamedTuple):
    """What a checkpoint held."""

    step: int
    tree: PyTree
    position: dict[str, Any]


class Checkpoints:
    """The newest `keep` checkpoints in a folder.

    With `read_only` nothing there is created, cleaned up or set aside: another process
    may be saving. (Orbax's own option of that name warns at every use.)
    """

    def __init__(
        self, folder: pathlib.Path, *, keep: int, read_only: bool = False
    ) -> None:
        self._folder, self._read_only = folder.resolve(), read_only
        self._manager = ocp.CheckpointManager(
            self._folder,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=None if read_only else keep,
                cleanup_tmp_directories=not read_only,
                create=not read_only,
                # Two managers may save the same step at the same time.
                multiprocessing_options=ocp.options.MultiprocessingOptions(
                    barrier_sync_key_prefix=self._folder.name
                ),
            ),
        )

    def steps(self) -> list[int]:
        return sorted(self._manager.all_steps())

    def forget_after(self, step: int) -> None:
        """Deletes what was saved later: of a future that will not be."""
        for later in self.steps():
            if later > step:
                self._manager.delete(later)

    def save(self, step: int, tree: PyTree, position: dict[str, Any]) -> None:
        """Starts to save; a step that is there already stays as it is.

        Raises:
          UserError: this save cannot begin, or the one before it failed.
        """
        if step in self._manager.all_steps():
            return
        described = json.dumps({**position, "digests": digests(tree)})
        note = {"text": described, "crc32": zlib.crc32(described.encode())}
        try:
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(tree), position=ocp.args.JsonSave(note)
                ),
            )
        except Exception as error:
            raise self._failure(error) from error

    def restore(self, template: PyTree, report: Report) -> Saved | None:
        """The newest checkpoint that is whole, placed like `template`; None: no any.

        Newer ones are set aside once it is read. If none can be, the reason may be
        another than damage, and all stay where they are.

        Raises:
          UserError: there are checkpoints, but none that can be read.
        """
        steps = self.steps()
        unreadable = []
        for step in reversed(steps):
            problem = ""
            try:
                saved = self._read(step, template)
            except Exception as error:  # Orbax raises even bare `Exception`s
                problem, saved = _first_line(error), None
            if processes.everywhere(saved is not None):
                self._set_aside(unreadable)
                return saved
            unreadable.append(step)
            problem = problem or "it cannot be read on another process"
            report(f"checkpoint {step} in {self._folder} is damaged: {problem}")
        if steps:
            raise UserError(
                f"none of the checkpoints {steps} in {self._folder} can be read by "
                "this config and version; nothing was changed there"
            )
        return None

    def _read(self, step: int, template: PyTree) -> Saved:
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(
                leaf.shape, leaf.dtype, sharding=leaf.sharding
            ),
            template,
        )
        items = self._manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(abstract),
                position=ocp.args.JsonRestore(),
            ),
        )
        note, tree = items["position"], items["state"]
        if zlib.crc32(note["text"].encode()) != note["crc32"]:
            raise ValueError("the checksum of its position does not match")
        position = json.loads(note["text"])
        found, expected = digests(tree), position.pop("digests")
        wrong = [n for n, digest in expected.items() if found.get(n) != digest]
        if wrong or len(found) != len(expected):
            raise ValueError(f"the checksum of {(wrong or ['a leaf'])[0]} differs")
        return Saved(step, tree, position)

    def _set_aside(self, steps: list[int]) -> None:
        if self._read_only or not steps:
            return
        if processes.is_main():
            target = self._folder.parent / f"{self._folder.name}_damaged"
            target.mkdir(exist_ok=True)
            for step in steps:
                (self._folder / str(step)).rename(_unused(target / str(step)))
        processes.barrier("set aside")
        self._manager.reload()

    def wait(self) -> None:
        """Until what is being saved is saved.

        Raises:
          UserError: it could not be.
        """
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Waits as `wait` does, and raises what it does."""
        try:
            self._manager.close()
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> UserError:
        kept = self.steps()
        earlier = f"checkpoint {kept[-1]} is intact" if kept else "none is there yet"
        return UserError(
            f"cannot save to {self._folder}: {_first_line(error)}; {earlier}"
        )


def digests(tree: PyTree) -> dict[str, int]:
    """A number a leaf that differs if any one of its entries does.

    The sum, modulo 2^32, of the entries' bits times odd numbers that depend on their
    place: the same on any mesh, since such sums have no order.
    """
    leaves = jax.tree.leaves_with_path(tree)
    mesh = leaves[0][1].sharding.mesh
    total = jax.jit(_digests, out_shardings=sharding.replicated(mesh))
    values = jax.device_get(total([leaf for _, leaf in leaves]))
    names = [jax.tree_util.keystr(path) for path, _ in leaves]
    return {name: int(value) for name, value in zip(names, values, strict=True)}


def _digests(leaves: list[Array]) -> Array:
    return jnp.stack([_digest(leaf) for leaf in leaves])


def _digest(leaf: Array) -> Array:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    if leaf.dtype == jnp.bool_:
        leaf = leaf.astype(jnp.uint8)
    unsigned = jnp.dtype(f"uint{8 * min(leaf.dtype.itemsize, 4)}")
    bits = jax.lax.bitcast_convert_type(leaf, unsigned).astype(jnp.uint32)
    place = jnp.zeros(bits.shape, jnp.uint32)
    for axis, size in enumerate(bits.shape):
        index = jax.lax.broadcasted_iota(jnp.uint32, bits.shape, axis)
        place = place * jnp.uint32(size) + index
    odd = place * jnp.uint32(0x9E3779B1) | jnp.uint32(1)
    return jnp.sum(bits * odd, dtype=jnp.uint32)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"


def _unused(path: pathlib.Path) -> pathlib.Path:
    """`path`, or with the first number after it that makes it new."""
    number, candidate = 1, path
    while candidate.exists():
        number, candidate = number + 1, path.with_name(f"{path.name}.{number}")
    return candidate
