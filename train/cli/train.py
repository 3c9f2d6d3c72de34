"""Trains a config in a workdir, or goes on with the run that is there.

`python -m train --config=configs/digits_ikl_at.py --workdir=runs/digits`

The options of a config follow a colon; every field of it is a flag. `:quick` shortens
any config to seconds, and `--plan` in place of the workdir says what a run costs:

`python -m train --config=configs/cifar100_at.py:basic,quick --workdir=runs/quick
--config.optimizer.learning_rate=0.05`

`python -m train --config=configs/cifar100_at.py:basic --plan`

`--topology` plans for a TPU that is not there, and `--fit` finds what makes it fit:

`python -m train --config=configs/cifar100_at.py:basic --plan --topology=v5e:2x2 --fit`
"""

from collections.abc import Sequence

from absl import flags

from train.base import files, terminal
from train.base.errors import UserError
from train.cli import command, process_flags
from train.cli.config_flag import define_config

PLAN_FLAGS = ("platform", "topology", "fit", "tflops", "peak_share", "memory")


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m train`: trains a config in a workdir. Returns the exit code."""
    return command.run(
        argv, define=_define, required=("config",), call=_call,
        kept="the newest checkpoint stays, and the same command goes on from it",
    )  # fmt: skip


def _define(values: flags.FlagValues, argv: list[str]) -> None:
    define_config(
        values, argv, None, "A file of configs/, with :OPTIONS after it; "
        "--config.FIELD=VALUE overrides one of its fields.",
    )  # fmt: skip
    flags.DEFINE_string(
        "workdir",
        None,
        "The run's folder. The same command again resumes the run. Required, except "
        "with --plan.",
        flag_values=values,
    )
    process_flags.define(values)
    _define_plan(values)


def _call(values: flags.FlagValues) -> None:
    _check_flags(values)
    (_plan if values.plan else _train)(values)


def _plan(values: flags.FlagValues) -> None:
    from train.planning import command as planning
    from train.planning.plan import Target

    planning.main(
        values.config,
        Target(values.topology, values.tflops, values.peak_share, values.memory),
        platform=values.platform,
        fit=values.fit,
    )


def _train(values: flags.FlagValues) -> None:
    from train.devices import processes  # JAX is not loaded for a mistyped flag
    from train.experiment import tasks
    from train.training import loop, sequence

    workdir = files.of_run(values.workdir, "--workdir")
    process_flags.start(values)
    console = terminal.console(quiet=not processes.is_main())
    train = sequence.train if tasks.is_sequence(values.config) else loop.train
    train(values.config, workdir, console)


def _check_flags(values: flags.FlagValues) -> None:
    """Raises `UserError` for a flag that would have no effect."""
    others, what = (
        (process_flags.NAMES, "a run: --plan is for the devices of one process")
        if values.plan
        else (PLAN_FLAGS, "--plan")
    )
    for name in others:
        if values[name].present:
            raise UserError(f"--{name} is for {what}")


def _define_plan(values: flags.FlagValues) -> None:
    """Flags for what a run costs."""
    flags.DEFINE_bool(
        "plan", False, "Compile the step and print what the run costs; do not train.",
        flag_values=values,
    )  # fmt: skip
    flags.register_multi_flags_validator(
        ["plan", "workdir"],
        lambda given: given["plan"] or bool(given["workdir"]),
        "--workdir is required",
        flag_values=values,
    )
    flags.DEFINE_string(
        "platform", None, "Platform to compile the plan for: cpu, gpu or tpu. Default: "
        "the one that JAX uses here.", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_string(
        "topology", None, "For --plan: a TPU that is not there, such as v5e:2x2 or "
        "v5e:16x16, to compile for; needs libtpu.", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_bool(
        "fit", False, "For --plan: if the step does not fit, compile with one change "
        "after another until it does.", flag_values=values,
    )  # fmt: skip
    for name, text in (
        ("tflops", "For --plan: 10^12 operations a second of a device, sustained."),
        (
            "peak_share",
            "For --topology: the share of a chip's peak that it sustains, "
            "in place of --tflops. Default: 0.3.",
        ),
        ("memory", "For --plan: GiB of a device. Default: what the device says."),
    ):
        flags.DEFINE_float(name, None, text, flag_values=values)
