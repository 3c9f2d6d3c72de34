"""Checkpoints of everything a run needs to go on exactly: Orbax, asynchronous."""

import pathlib

import grain
import grain.checkpoint
import jax
import orbax.checkpoint as ocp

from train.state import TrainState

KEPT = 2


class Checkpoints:
    """The newest checkpoints in `workdir/checkpoints`.

    With `read_only` nothing there is created or cleaned up: another process may be
    saving. (Orbax's own option of that name warns at every use.)
    """

    def __init__(self, workdir: pathlib.Path, *, read_only: bool = False) -> None:
        self._manager = ocp.CheckpointManager(
            (workdir / "checkpoints").resolve(),
            options=ocp.CheckpointManagerOptions(
                max_to_keep=None if read_only else KEPT,
                cleanup_tmp_directories=not read_only,
                create=not read_only,
            ),
        )

    def latest_step(self) -> int | None:
        return self._manager.latest_step()

    def save(self, state: TrainState, batches: grain.DatasetIterator) -> None:
        """Starts to save the state and the position in the data order."""
        self._manager.save(
            int(state.step),
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state),
                data=grain.checkpoint.CheckpointSave(batches),
            ),
        )

    def restore(
        self, state: TrainState, batches: grain.DatasetIterator | None = None
    ) -> TrainState:
        """The newest state, placed like `state`; sets `batches` to its position."""
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(
                leaf.shape, leaf.dtype, sharding=leaf.sharding
            ),
            state,
        )
        items: dict = {"state": ocp.args.StandardRestore(abstract)}
        if batches is not None:
            items["data"] = grain.checkpoint.CheckpointRestore(batches)
        step = self._manager.latest_step()
        restored = self._manager.restore(step, args=ocp.args.Composite(**items))
        return restored["state"]

    def close(self) -> None:
        """Waits for what is being saved."""
        self._manager.wait_until_finished()
        self._manager.close()
