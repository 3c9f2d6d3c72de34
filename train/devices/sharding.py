"""The mesh of devices, and where arrays live on it.

The axis `data` divides the batch. The axis `model` divides what is as wide as the
classes: the classifier and the class means. Everything else is computed alike along
`model`, so it is 1 unless classes x classes does not fit a device. With `fsdp`, large
leaves of the state are kept divided over `data` as well and gathered when used; not so
the class means, whose rows the labels of each batch choose.

The step is one program over the whole mesh, divided by the compiler (`jit` with
`NamedSharding`): batch statistics and gradients are those of the global batch.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from ikl_jax.types import PyTree
from train.base.errors import UserError
from train.base.types import Batch

FSDP_SIZE = 2**12  # entries; a smaller leaf costs less to copy than to gather


def create_mesh(shape: Sequence[int] = (-1, 1)) -> Mesh:
    """All devices of all processes as `(data, model)`; -1 takes those that are left.

    Raises:
      UserError: the shape does not multiply to the number of devices.
    """
    devices = jax.device_count()
    shape = tuple(int(size) for size in shape)
    problem = len(shape) != 2 or shape.count(-1) > 1 or min(shape) < -1 or 0 in shape
    if not problem and -1 in shape:
        known = -math.prod(shape)
        problem = devices % known != 0
        shape = tuple(devices // known if size == -1 else size for size in shape)
    if problem or math.prod(shape) != devices:
        raise UserError(
            f"mesh must be (data, model), with product {devices}, the number of "
            f"devices (-1: those that are left), got {shape}"
        )
    return jax.make_mesh(shape, ("data", "model"), axis_types=(AxisType.Auto,) * 2)


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def over_batch(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec("data"))


def check_batch(name: str, size: int, mesh: Mesh) -> None:
    """Raises `UserError` unless the axis `data` divides a batch of `size`."""
    if size % mesh.shape["data"]:
        along = " along data" if mesh.shape["model"] > 1 else ""
        raise UserError(
            f"{name} must be a multiple of the {mesh.shape['data']} devices{along}, "
            f"got {size}"
        )


def fitting(size: int, mesh: Mesh) -> int:
    """The largest batch up to `size` that `check_batch` lets pass, and at least one."""
    return max(size // mesh.shape["data"], 1) * mesh.shape["data"]


def check_classes(num_classes: int, mesh: Mesh) -> None:
    """Raises `UserError` unless the axis `model` divides the classes."""
    if num_classes % mesh.shape["model"]:
        raise UserError(
            f"mesh: the model axis of {mesh.shape['model']} must divide the "
            f"{num_classes} classes; model.classes_multiple_of pads them"
        )


def state_shardings(
    mesh: Mesh, state: PyTree, *, num_classes: int, fsdp: bool
) -> PyTree:
    """Where each leaf of a train state lives; `state` may be abstract.

    `num_classes` is the width of what is divided over `model`.

    Parameters, the optimiser's copies and averages of them follow one rule, which sees
    a leaf's shape alone, so they lie alike.
    """

    def place(leaf: jax.ShapeDtypeStruct) -> NamedSharding:
        axes = _axes(leaf.shape, mesh, num_classes, fsdp)
        return NamedSharding(mesh, PartitionSpec(*axes))

    return jax.tree.map(place, state)


@dataclasses.dataclass(frozen=True)
class GatheredModel:
    """A model that gathers its parameters over `data` whenever it is applied.

    With fsdp the compiler, left to choose, would rather divide activations and logits
    as the parameters are, which moves what grows with batch x classes.
    """

    model: nn.Module
    mesh: Mesh
    num_classes: int

    def init(self, *args: Any, **kwargs: Any) -> Any:
        return self.model.init(*args, **kwargs)

    def apply(self, variables: Any, *args: Any, **kwargs: Any) -> Any:
        params = variables["params"]
        whole = state_shardings(
            self.mesh, params, num_classes=self.num_classes, fsdp=False
        )
        params = jax.lax.with_sharding_constraint(params, whole)
        return self.model.apply({**variables, "params": params}, *args, **kwargs)


def _axes(
    shape: tuple[int, ...], mesh: Mesh, num_classes: int, fsdp: bool
) -> list[str | None]:
    axes: list[str | None] = [None] * len(shape)
    wide = len(shape) == 2 and shape[-1] == num_classes
    if wide and mesh.shape["model"] > 1:
        axes[-1] = "model"
    # Class means divided over `data` as well would cost collectives of batch x classes.
    divided = fsdp and mesh.shape["data"] > 1 and shape != (num_classes, num_classes)
    if divided and math.prod(shape) >= FSDP_SIZE:
        free = [
            axis
            for axis, size in enumerate(shape)
            if axes[axis] is None and size % mesh.shape["data"] == 0
        ]
        if free:
            axes[max(free, key=lambda axis: shape[axis])] = "data"
    return axes


@functools.lru_cache
def local_rows(size: int, mesh: Mesh) -> np.ndarray:
    """The rows of a batch of `size` that this process's devices hold, in order."""
    shards = over_batch(mesh).addressable_devices_indices_map((size,))
    rows = [np.arange(size)[index] for index in shards.values() if index is not None]
    return np.unique(np.concatenate(rows))


def put(batch: Batch, mesh: Mesh, size: int) -> dict[str, jax.Array]:
    """A global batch of `size` on the devices, from each process's `local_rows`."""
    sharding, rows = over_batch(mesh), local_rows(size, mesh)

    def divided(local: np.ndarray) -> jax.Array:
        def shard(index: tuple[slice, ...] | None) -> np.ndarray:
            assert index is not None
            wanted = np.arange(size)[index[0]]
            first = int(np.searchsorted(rows, wanted[0]))
            return local[first : first + len(wanted)]

        return jax.make_array_from_callback((size, *local.shape[1:]), sharding, shard)

    return {name: divided(local) for name, local in batch.items()}
