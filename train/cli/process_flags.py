"""Flags for a command that several processes run together."""

from absl import flags

NAMES = ("distributed", "coordinator", "num_processes", "process_id")


def define(values: flags.FlagValues) -> None:
    """Defines the flags; docs/pods.md describes them."""
    flags.DEFINE_bool(
        "distributed", False, "Join the other processes of this TPU pod, SLURM or "
        "Kubernetes job.", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_string(
        "coordinator", None, "HOST:PORT of process 0, where no cluster provides it.",
        flag_values=values,
    )  # fmt: skip
    for name, default, text in (
        ("num_processes", None, "Number of processes, with --coordinator."),
        ("process_id", None, "Number of this process, from 0, with --coordinator."),
        ("heartbeat_timeout", 100, "Seconds until a silent process counts as dead."),
        ("start_timeout", 300, "Seconds to wait for the other processes."),
    ):
        flags.DEFINE_integer(name, default, text, flag_values=values)


def start(values: flags.FlagValues) -> None:
    """Joins the other processes, if the flags say that there are any.

    Raises:
      UserError: the flags are incomplete, or no cluster is found.
    """
    from train.devices import processes  # JAX is not loaded for a mistyped flag

    processes.start(
        distributed=values.distributed,
        coordinator=values.coordinator,
        num_processes=values.num_processes,
        process_id=values.process_id,
        heartbeat_timeout=values.heartbeat_timeout,
        start_timeout=values.start_timeout,
    )
