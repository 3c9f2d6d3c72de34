"""The mesh of devices, and where arrays live on it."""

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from train.errors import UserError
from train.types import Batch


def create_mesh() -> Mesh:
    """All devices in one row, the axis `data`; the compiler divides the work.

    Raises:
      UserError: there are several processes, which the data pipeline cannot feed yet.
    """
    if jax.process_count() > 1:
        raise UserError(
            f"one process is supported, this is one of {jax.process_count()}"
        )
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
    """A batch on the devices, divided among them."""
    return jax.device_put(batch, over_batch(mesh))
