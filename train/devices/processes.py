"""Several processes that run one program together, each with devices of its own."""

import os
import sys
from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils

from train.base.errors import UserError

MESSAGE_BYTES = 16384


def start(
    *,
    distributed: bool = False,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    heartbeat_timeout: int = 100,
    start_timeout: int = 300,
) -> None:
    """Joins the other processes. Call it before anything uses a device.

    Args:
      distributed: finds them through the cluster (TPU pods, SLURM, Kubernetes, MPI).
      coordinator: HOST:PORT of process 0, where there is no such cluster. It needs the
        next two.
      num_processes: their number.
      process_id: the number of this process, from 0.
      heartbeat_timeout: seconds of silence after which a process counts as dead and
        the others stop.
      start_timeout: seconds to wait for the others. The JAX runtime then aborts the
        process (SIGABRT), which nothing here can turn into an exception.

    Raises:
      UserError: the flags are incomplete, or no cluster is found.
    """
    given = (coordinator, num_processes, process_id)
    if all(value is None for value in given) and not distributed:
        return
    if not distributed and any(value is None for value in given):
        raise UserError(
            "--coordinator, --num_processes and --process_id go together; "
            "--distributed finds them through the cluster"
        )
    try:
        jax.distributed.initialize(
            coordinator_address=coordinator,
            num_processes=num_processes,
            process_id=process_id,
            heartbeat_timeout_seconds=heartbeat_timeout,
            initialization_timeout=start_timeout,
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the other processes cannot be joined: {error}") from error


def several() -> bool:
    """Whether there are other processes; uses no device."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def is_main() -> bool:
    """Whether this is the first process, which writes what is written only once."""
    return jax.process_index() == 0


def on_main(call: Callable[[], None]) -> None:
    """Calls on the first process; its `UserError` is raised on every process."""
    message = ""
    if is_main():
        try:
            call()
        except UserError as error:
            message = str(error)
    message = broadcast(message)
    if message:
        raise UserError(message)


def broadcast(text: str) -> str:
    """Returns the text of the first process on every process.

    Raises:
      ValueError: the text has more than 16,384 bytes.
    """
    if jax.process_count() == 1:
        return text
    encoded = text.encode().ljust(MESSAGE_BYTES, b"\0")
    if len(encoded) > MESSAGE_BYTES:
        raise ValueError(f"{len(encoded)} bytes are more than {MESSAGE_BYTES}")
    received = multihost_utils.broadcast_one_to_all(np.frombuffer(encoded, np.uint8))
    return np.asarray(received).tobytes().rstrip(b"\0").decode(errors="ignore")


def everywhere(fact: bool) -> bool:
    """Whether a fact holds on every process."""
    if jax.process_count() == 1:
        return fact
    return bool(np.all(multihost_utils.process_allgather(np.asarray(fact))))


def anywhere(facts: np.ndarray) -> np.ndarray:
    """Which of the facts `[N]` hold on at least one process."""
    if jax.process_count() == 1:
        return facts
    packed = np.asarray(multihost_utils.process_allgather(np.packbits(facts)))
    together = np.bitwise_or.reduce(packed, axis=0)
    return np.unpackbits(together, count=len(facts)).astype(bool)


def agree(name: str, text: str) -> None:
    """Raises `UserError` unless `text` is the same on every process."""
    theirs = broadcast(text)
    if not everywhere(text == theirs):
        raise UserError(
            f"the processes have different {name}: {theirs} on process 0, {text} here"
        )


def leave(code: int) -> None:
    """Ends a process that failed at once, if there are others.

    An ordinary exit would wait until the others end. They end by themselves when they
    notice that this process is gone.
    """
    if several():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def barrier(name: str) -> None:
    """Waits until every process is here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
