"""Several processes that run one program together, each with devices of its own."""

import itertools
import os
import sys
import threading
import zlib
from collections.abc import Callable

import jax
import numpy as np
from jax.experimental import multihost_utils

from train.base.errors import UserError

MESSAGE_BYTES = 16384
LONGEST_WAIT = 30 * 24 * 3600  # seconds
_waits = itertools.count()


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
    """Calls on the first process; its `UserError` is raised on every process.

    The others wait, however long it takes.
    """
    message = ""
    if is_main():
        try:
            call()
        except UserError as error:
            message = str(error)
    wait("the first process")
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


def from_main(array: np.ndarray) -> np.ndarray:
    """Returns the array of the first process; all have one of this shape and dtype."""
    if jax.process_count() == 1:
        return array
    return np.asarray(multihost_utils.broadcast_one_to_all(array))


def gathered(array: np.ndarray) -> list[np.ndarray]:
    """The arrays of all processes, which may differ in their first axis."""
    if jax.process_count() == 1:
        return [array]
    sizes = np.asarray(multihost_utils.process_allgather(np.int32(len(array))))
    padded = np.zeros((max(sizes.max(), 1), *array.shape[1:]), array.dtype)
    padded[: len(array)] = array
    parts = np.asarray(multihost_utils.process_allgather(padded))
    return [part[:size] for part, size in zip(parts, sizes, strict=True)]


def everyone(call: Callable[[], None]) -> None:
    """Calls on every process; a `UserError` of one of them is raised on all."""
    problem = ""
    try:
        call()
    except UserError as error:
        problem = str(error)
    wait("everyone")
    encoded = problem.encode()[:MESSAGE_BYTES]
    found = [
        message.tobytes().decode(errors="ignore")
        for message in gathered(np.frombuffer(encoded, np.uint8))
    ]
    if problem:
        raise UserError(problem)
    for process, message in enumerate(found):
        if message:
            raise UserError(f"process {process}: {message}")


def agree(name: str, text: str) -> None:
    """Raises `UserError` on every process unless `text` is the same on all."""
    checksum = np.array([zlib.crc32(text.encode())], np.uint32)
    sums = np.concatenate(gathered(checksum))
    if len(set(sums.tolist())) == 1:
        return
    theirs = broadcast(text)
    others = ", ".join(map(str, np.flatnonzero(sums != sums[0])))
    raise UserError(
        f"the processes have different {name}: {theirs} on process 0"
        + (f", {text} here" if text != theirs else f", others on process {others}")
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


def wait(name: str) -> None:
    """As `barrier`, for work of hours: no device waits, and no collective times out.

    Every process makes the same calls in the same order.
    """
    if jax.process_count() > 1:
        from orbax.checkpoint import multihost  # which takes a second to load

        key, limit = f"{name} {next(_waits)}", 1000 * LONGEST_WAIT
        at_barrier = multihost.get_barrier_sync_fn()
        _while_listening(lambda: at_barrier(key=key, timeout_ms=limit))


def _while_listening(call: Callable[[], None]) -> None:
    """Calls in a thread, so that the main one can be interrupted by Ctrl-C."""
    problems = []

    def target() -> None:
        try:
            call()
        except Exception as error:  # of the JAX runtime: another process is gone
            problems.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
