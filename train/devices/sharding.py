"""The mesh of devices, and where arrays live on it.

The axis `data` divides the batch. The axis `model` divides the columns of the
classifier's kernel and of the class means. Every device along `model` computes all the
rest alike, so that axis is 1 unless classes x classes does not fit a device. With
`fsdp`, large leaves of the state are divided over `data` as well, and gathered when
they are used. The class means are not: the labels of each batch choose their rows.

The step is one program over the whole mesh, divided by the compiler (`jit` with
`NamedSharding`): batch statistics and gradients are those of the global batch.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence, Set
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jax.tree_util import KeyPath

from ikl_jax import ClassMeans
from ikl_jax.types import PyTree
from train.base.errors import UserError
from train.base.types import Batch

Path = tuple[str, ...]  # names from the root of a tree to a node or a leaf
FSDP_SIZE = 2**12  # entries; a smaller leaf costs less to copy than to gather


def create_mesh(
    shape: Sequence[int] = (-1, 1), devices: Sequence[Any] | None = None
) -> Mesh:
    """A mesh of devices as `(data, model)`; -1 stands for the rest of them.

    Args:
      shape: of the mesh.
      devices: the `jax.Device`s of the mesh; None: those of all processes.

    Raises:
      UserError: the shape does not multiply to the number of devices.
    """
    count = jax.device_count() if devices is None else len(devices)
    shape = tuple(int(size) for size in shape)
    problem = len(shape) != 2 or shape.count(-1) > 1 or min(shape) < -1 or 0 in shape
    if not problem and -1 in shape:
        known = -math.prod(shape)
        problem = count % known != 0
        shape = tuple(count // known if size == -1 else size for size in shape)
    if problem or math.prod(shape) != count:
        raise UserError(
            f"mesh must be (data, model), with product {count}, the number of "
            f"devices (-1: those that are left), got {shape}"
        )
    return jax.make_mesh(
        shape, ("data", "model"), (AxisType.Auto,) * 2, devices=devices
    )


def platform(mesh: Mesh) -> str:
    """The platform of a mesh's devices: "cpu", "gpu" or "tpu"."""
    return mesh.devices.flat[0].platform


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
    """The largest batch up to `size` that `check_batch` accepts, else the smallest."""
    return max(size // mesh.shape["data"], 1) * mesh.shape["data"]


def check_classes(num_classes: int, mesh: Mesh) -> None:
    """Raises `UserError` unless the axis `model` divides the classes."""
    if num_classes % mesh.shape["model"]:
        raise UserError(
            f"mesh: the model axis of {mesh.shape['model']} must divide the "
            f"{num_classes} classes; model.classes_multiple_of pads them"
        )


def state_shardings(
    mesh: Mesh, state: PyTree, *, classifier: Path, fsdp: bool
) -> PyTree:
    """The sharding of each leaf of a train state, or of parameters alone.

    The rule goes by what a leaf is. The classifier's kernel and the class means are
    divided over `model` by their columns. The optimiser's copies of a parameter and
    averages of it are found by their path, which ends in the parameter's own, and lie
    as the parameter does.

    Args:
      mesh: of the devices.
      state: with parameters in `state.params`, or the parameters themselves; it may be
        abstract.
      classifier: where the model's last layer is within the parameters.
      fsdp: whether large leaves are divided over `data`, too. Class means are not: that
        would cost collectives of batch x classes.
    """
    params = getattr(state, "params", state)
    parameters = {_names(path) for path, _ in jax.tree.leaves_with_path(params)}
    kernel = (*classifier, "kernel")

    def place(path: KeyPath, leaf: Any) -> Any:
        if isinstance(leaf, ClassMeans):
            return jax.tree.map(
                lambda array: _sharding(mesh, array.shape, array.ndim == 2, False), leaf
            )
        by_classes = _parameter(_names(path), parameters) == kernel and leaf.ndim == 2
        return _sharding(mesh, leaf.shape, by_classes, fsdp)

    return jax.tree.map_with_path(
        place, state, is_leaf=lambda node: isinstance(node, ClassMeans)
    )


def _names(path: KeyPath) -> Path:
    """The keys, fields and positions of a path, as plain strings."""
    return tuple(jax.tree_util.keystr((key,), simple=True) for key in path)


def _parameter(path: Path, parameters: Set[Path]) -> Path | None:
    """The parameter that a leaf of the state is, or is a copy or an average of.

    Its path is the longest one that the leaf's path ends in. None: there is no such
    parameter.
    """
    ends = (path[start:] for start in range(len(path)))
    return next((end for end in ends if end in parameters), None)


@dataclasses.dataclass(frozen=True)
class GatheredModel:
    """A model that gathers its parameters over `data` whenever it is applied.

    Without this, the compiler would divide activations and logits as fsdp divides the
    parameters, and so move data that grow with batch x classes.
    """

    model: nn.Module
    mesh: Mesh
    classifier: Path

    def init(self, *args: Any, **kwargs: Any) -> Any:
        return self.model.init(*args, **kwargs)

    def apply(self, variables: Any, *args: Any, **kwargs: Any) -> Any:
        params = variables["params"]
        whole = state_shardings(
            self.mesh, params, classifier=self.classifier, fsdp=False
        )
        params = jax.lax.with_sharding_constraint(params, whole)
        return self.model.apply({**variables, "params": params}, *args, **kwargs)


def _sharding(
    mesh: Mesh, shape: tuple[int, ...], by_classes: bool, fsdp: bool
) -> NamedSharding:
    """Divides the last axis over `model`, and the longest other one over `data`."""
    axes: list[str | None] = [None] * len(shape)
    if by_classes and mesh.shape["model"] > 1:
        axes[-1] = "model"
    data = mesh.shape["data"]
    if fsdp and data > 1 and math.prod(shape) >= FSDP_SIZE:
        free = [
            axis
            for axis, size in enumerate(shape)
            if axes[axis] is None and size % data == 0
        ]
        if free:
            axes[max(free, key=lambda axis: shape[axis])] = "data"
    return NamedSharding(mesh, PartitionSpec(*axes))


@functools.lru_cache
def _local_shares(mesh: Mesh) -> tuple[int, ...]:
    """The positions along `data` whose devices, or some of them, are this process's."""
    mine = jax.process_index()
    return tuple(
        position
        for position, devices in enumerate(mesh.devices)
        if any(device.process_index == mine for device in devices)
    )


def local_rows(size: int, mesh: Mesh) -> np.ndarray:
    """The rows of a batch of `size` that this process's devices hold, in order.

    They need not be neighbours: that depends on how the mesh orders the devices.
    """
    rows = np.arange(size).reshape(mesh.shape["data"], -1)
    return rows[list(_local_shares(mesh))].reshape(-1)


def put(batch: Batch, mesh: Mesh) -> dict[str, jax.Array]:
    """A global batch on the devices, made of the rows that each process has.

    Columns may differ in size, as those of labelled and unlabelled examples do. Each
    holds the rows that `local_rows` names for its global size.
    """
    divided = over_batch(mesh)
    return {
        name: jax.make_array_from_process_local_data(
            divided, local, _global_shape(local, mesh)
        )
        for name, local in batch.items()
    }


def abstract(batch: Batch, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    """What `put` makes of a batch, without arrays; the devices need not be there."""
    divided = over_batch(mesh)
    return {
        name: jax.ShapeDtypeStruct(
            _global_shape(local, mesh), local.dtype, sharding=divided
        )
        for name, local in batch.items()
    }


def _global_shape(local: np.ndarray, mesh: Mesh) -> tuple[int, ...]:
    """The shape of a column of which this process has the rows `local`."""
    size = len(local) * mesh.shape["data"] // len(_local_shares(mesh))
    return (size, *local.shape[1:])
