"""The mesh of devices, and where arrays live on it."""

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from train.errors import UserError
from train.types import Batch


def create_mesh() -> Mesh:
    """All devices in one row, the axis `data`; the compiler divides the work."""
    return jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def over_batch(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec("data"))


def check_batch(name: str, size: int, mesh: Mesh) -> None:
    """Raises `UserError` unless the devices divide a batch of `size`."""
    if size % mesh.size:
        raise UserError(
            f"{name} must be a multiple of the {mesh.size} devices, got {size}"
        )


def put(batch: Batch, mesh: Mesh) -> dict[str, jax.Array]:
    """This process's part of a batch, as global arrays sharded over the devices."""
    sharding = over_batch(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, array)
        for name, array in batch.items()
    }
