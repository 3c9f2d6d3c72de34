"""What a training step costs on meshes of several sizes, by compiling it for each.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --rows_per_device 16
    python benchmarks/scaling.py --devices 8 64 --classes 21843 --model_axis 4
    python benchmarks/scaling.py --topology v5e:2x2 v4:2x2x1 --model wide_resnet_10_2

The step is that of `compiled_step.py`, compiled for virtual CPU devices or by TPU's
compiler (`pip install -e '.[plan-tpu]'`), a process for each number of them or each
topology; nothing is run, so no accelerator is needed. All columns are one device's
share of one step: FLOPs as the CPU's compiler counts them (in brackets those of all
devices, in forward passes of the batch), bytes of what the step is given, bytes that
the compiler plans besides, of a TPU's program, and of the arrays that collectives work
on. Kinds of collectives that are not shown do not occur.

A batch that the axis `data` does not divide is rounded up to one that it does.
"""

import argparse
import dataclasses
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks.compiled_step import Cost, Setting
from train.base.errors import UserError
from train.devices import topology

MEASURE = pathlib.Path(__file__).parent / "compiled_step.py"


def settings(arguments: argparse.Namespace) -> list[Setting]:
    """One for each number of devices.

    Raises:
      UserError: a number is not possible.
    """
    result = []
    for name, devices in places(arguments):
        setting = Setting(
            topology=name,
            devices=devices,
            model_axis=arguments.model_axis,
            fsdp=arguments.fsdp,
            model=arguments.model,
            classes=arguments.classes,
            batch_size=arguments.batch_size,
            attack_steps=arguments.attack_steps,
        )
        data = max(devices // setting.model_axis, 1)
        rows = arguments.rows_per_device
        if rows is None:
            rows = -(-setting.batch_size // data)
        result.append(dataclasses.replace(setting, batch_size=rows * data))
    return result


def places(arguments: argparse.Namespace) -> list[tuple[str, int]]:
    """Names of topologies, or empty for virtual devices, with the number of devices."""
    if arguments.topology is None:
        return [("", devices) for devices in arguments.devices]
    return [(name, len(topology.devices(name))) for name in arguments.topology]


def measured(setting: Setting, timeout: float) -> Cost:
    """Measures in a process of its own.

    Raises:
      UserError: it failed, or took longer than `timeout` seconds.
    """
    options = []
    for name, value in dataclasses.asdict(setting).items():
        if value is not False and value != "":
            options += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    try:
        done = subprocess.run(
            [sys.executable, str(MEASURE), *options],
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{devices_of(setting)}: not compiled within {timeout:g} seconds; "
            "raise --timeout, or take fewer --attack_steps or a smaller --model"
        ) from None
    if done.returncode:
        problem = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{devices_of(setting)}: {problem}")
    return Cost.from_json(done.stdout.splitlines()[-1])


def devices_of(setting: Setting) -> str:
    """The devices of a setting, for a sentence."""
    return setting.topology or f"{setting.devices} devices"


def cells(cost: Cost, kinds: list[str]) -> dict[str, str]:
    """The columns of a row."""
    setting, on_tpu = cost.setting, bool(cost.setting.topology)
    mesh = f"{setting.devices // setting.model_axis} × {setting.model_axis}"
    mesh = str(setting.devices) if setting.model_axis == 1 else mesh
    flops = f"{cost.flops / 1e9:,.0f} ({cost.forward_passes:.1f})"
    sizes = {"given": cost.argument_bytes, "temporary": cost.temporary_bytes}
    if on_tpu:
        sizes["program"] = cost.program_bytes
    sizes |= {kind: cost.collective_bytes[kind] for kind in kinds}
    return {
        **({"chips": f"{setting.topology} ({mesh})"} if on_tpu else {"devices": mesh}),
        "batch": str(setting.batch_size),
        **({} if on_tpu else {"GFLOPs": flops}),
        **{f"{name} (MB)": f"{size / 1e6:,.1f}" for name, size in sizes.items()},
        **({"compiled in (s)": f"{cost.seconds:,.0f}"} if on_tpu else {}),
    }


def table(costs: list[Cost]) -> str:
    """Markdown, a row for each cost."""
    kinds = [
        kind
        for kind in costs[0].collective_bytes
        if any(cost.collective_bytes[kind] for cost in costs)
    ]
    rows = [cells(cost, kinds) for cost in costs]
    lines = [list(rows[0]), *(row.values() for row in rows)]
    head, *body = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, f"|{'---|' * len(rows[0])}", *body])


def create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Setting()
    parser.add_argument("--model", default=default.model)
    parser.add_argument("--classes", type=int, default=default.classes)
    parser.add_argument("--batch_size", type=int, default=default.batch_size)
    parser.add_argument(
        "--rows_per_device", type=int, help="a batch of so many times the axis data"
    )
    parser.add_argument("--attack_steps", type=int, default=default.attack_steps)
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 2, 4, 8, 32, 256])
    parser.add_argument(
        "--topology", nargs="+", help="TPUs that are not there, in place of --devices"
    )
    parser.add_argument(
        "--model_axis", type=int, default=1, help="devices along the axis model"
    )
    parser.add_argument(
        "--fsdp", action="store_true", help="divide the state over the axis data"
    )
    parser.add_argument(
        "--timeout", type=float, default=600.0, help="seconds for each row"
    )
    return parser


def main() -> None:
    parser = create_parser()
    arguments = parser.parse_args()
    costs = []
    asked = len(arguments.topology or arguments.devices)
    try:
        for setting in settings(arguments):
            costs.append(measured(setting, arguments.timeout))
            print(f"{devices_of(setting)} compiled", file=sys.stderr)
    except UserError as error:
        print(error, file=sys.stderr)
    if costs:
        megabytes = 4 * costs[0].parameters / 1e6
        print(f"{arguments.model}: {costs[0].parameters:,} parameters,", end=" ")
        print(f"{megabytes:.1f} MB\n\n{table(costs)}")
    if len(costs) < asked:
        parser.exit(1)


if __name__ == "__main__":
    main()
