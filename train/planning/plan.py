"""What a run costs, before it starts: `python -m train --config=... --plan`.

The step is compiled, for the devices and the mesh that the run would have, and never
run. Floating-point operations are counted from the recipe itself; memory is what the
compiler of these devices reserves, so plan on the kind of machine that will train.
"""

import dataclasses
import math
import os
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from ikl_jax.types import PyTree
from train.base import terminal
from train.base.config import Config
from train.base.errors import UserError
from train.devices import processes, sharding
from train.experiment.run import Run, build
from train.planning import flops
from train.teachers.teacher import Teacher
from train.training import program

GIB = 2**30
# 10^12 operations a second of a device, where none are given: a round number, not
# measured.
DEFAULT_TFLOPS = 100.0
SMALLER = (
    "more devices, accumulate (with model.bn_groups), model.remat, "
    "model.dtype=bfloat16 or fsdp take less memory (docs/pods.md)"
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """The cost of a run's training, without evaluations.

    Attributes:
      device: the kind of device that the step was compiled for.
      devices: their number along the mesh's axes `data` and `model`.
      parameters: of the model.
      batch_size: of a whole batch, over all devices.
      steps_per_epoch: with those on an incomplete batch.
      steps: of the whole run.
      flops: operations of a step on a whole batch, on all devices together.
      state: bytes of the train state on each device.
      peak: bytes that a step needs on each device, with the state.
      available: bytes of memory of each device; None where the device does not say.
      tflops: 10^12 operations that a device is assumed to do in a second.
    """

    device: str
    devices: tuple[int, int]
    parameters: int
    batch_size: int
    steps_per_epoch: int
    steps: int
    flops: int
    state: int
    peak: int
    available: int | None
    tflops: float

    @property
    def hours(self) -> float:
        """Hours of training, at the throughput that is assumed."""
        count = self.devices[0] * self.devices[1]
        return self.steps * self.flops / (count * self.tflops * 1e12) / 3600

    @property
    def fits(self) -> bool:
        return self.available is None or self.peak <= self.available


def require(platform: str) -> None:
    """Makes JAX use the devices of a platform. Call it before anything else uses JAX.

    Raises:
      UserError: the platform has no devices here.
    """
    settings: Any = jax.config
    before = settings.jax_platforms
    settings.update("jax_platforms", platform)
    try:
        jax.devices(platform)
    except RuntimeError as error:
        settings.update("jax_platforms", before)
        raise UserError(
            f"platform must be one that there are devices of, got {platform!r}; here "
            f"JAX has {jax.default_backend()}"
        ) from error


def plan(
    config: Config, *, tflops: float | None = None, memory: float | None = None
) -> Plan:
    """The plan of a config, on the devices that there are.

    Args:
      config: of the run. Its data must be there: their number decides the steps.
      tflops: 10^12 operations that a device does in a second, sustained, > 0.
      memory: GiB that a device has, > 0; None: as the device says.

    Raises:
      UserError: the config cannot be run, or a number is not positive and finite.
    """
    for name, value in (("tflops", tflops), ("memory", memory)):
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"{name} must be > 0 and finite, got {value:g}")
    run = build(config)
    state = run.abstract_state
    batch = _a_batch(run)
    operations = flops.count(run.recipe.step, state, batch)
    teacher = None if config.teacher.cache else Teacher.of(run)
    if teacher is not None:
        operations += flops.count(teacher.logits, batch["image"])
    compiled = program.jitted_step(run).lower(state, batch).compile()
    memory_used = compiled.memory_analysis()
    device = jax.local_devices()[0]
    shape = run.mesh.shape
    return Plan(
        device=f"{device.platform} ({device.device_kind})",
        devices=(shape["data"], shape["model"]),
        parameters=sum(leaf.size for leaf in jax.tree.leaves(state.params)),
        batch_size=config.batch_size,
        steps_per_epoch=run.steps_per_epoch,
        steps=run.total_steps,
        flops=operations,
        state=_bytes_on_a_device(state),
        peak=_peak(memory_used),
        available=round(memory * GIB) if memory else _memory_of(device),
        tflops=tflops or DEFAULT_TFLOPS,
    )


def show(planned: Plan, console: Console) -> None:
    """The plan as a table, and a warning if a step does not fit."""
    data, model = planned.devices
    table = Table(show_header=False)
    each = planned.flops / planned.batch_size
    whole = "?" if planned.available is None else _size(planned.available)
    for name, text in (
        ("devices", f"{data * model} x {planned.device}; data {data}, model {model}"),
        ("parameters", f"{planned.parameters:,}"),
        ("steps", f"{planned.steps:,}, {planned.steps_per_epoch:,} an epoch, of "
         f"{planned.batch_size} examples"),
        ("operations a step", f"{_operations(planned.flops)}; {_operations(each)} an "
         "example"),
        ("memory a device", f"{_size(planned.peak)} of {whole}; the train state "
         f"{_size(planned.state)}"),
        ("hours of training", f"{planned.hours:.3g} at {planned.tflops:g} TFLOP/s a "
         "device, sustained (--tflops)"),
    ):  # fmt: skip
        table.add_row(name, text)
    console.print(table)
    if not planned.fits:
        console.print(
            f"warning: a step needs {_size(planned.peak)} on each device, which has "
            f"{whole}: it will not fit; {SMALLER}",
            highlight=False,
        )


def main(
    config: Config, *, platform: str | None, tflops: float | None, memory: float | None
) -> None:
    """What `--plan` does."""
    if platform is not None:
        require(platform)
    console = terminal.console(quiet=not processes.is_main())
    show(plan(config, tflops=tflops, memory=memory), console)


def _a_batch(run: Run) -> dict[str, jax.Array | jax.ShapeDtypeStruct]:
    """The run's first batch on the devices; the teacher's logits are abstract."""
    batch = sharding.put(next(run.training_batches()), run.mesh)
    if run.config.teacher.path:
        place = sharding.over_batch(run.mesh)
        shape = (len(batch["label"]), run.num_logits)
        logits = jax.ShapeDtypeStruct(shape, "float32", sharding=place)
        return {**batch, "teacher_logits": logits}
    return {**batch}


def _bytes_on_a_device(state: PyTree) -> int:
    leaves = jax.tree.leaves(state)
    shapes = [leaf.sharding.shard_shape(leaf.shape) for leaf in leaves]
    return sum(
        math.prod(shape) * leaf.dtype.itemsize
        for leaf, shape in zip(leaves, shapes, strict=True)
    )


def _peak(used: Any) -> int:
    """Bytes that a program needs; it puts the new state where the old one was."""
    outputs = used.output_size_in_bytes - used.alias_size_in_bytes
    return used.argument_size_in_bytes + outputs + used.temp_size_in_bytes


def _memory_of(device: Any) -> int | None:
    if device.platform == "cpu":
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return whole // jax.local_device_count()
    return (device.memory_stats() or {}).get("bytes_limit")


def _operations(count: float) -> str:
    return _scaled(count, 1000, ["", "k", "M", "G", "T", "P"]) + "FLOP"


def _size(count: float) -> str:
    return _scaled(count, 1024, ["", "Ki", "Mi", "Gi", "Ti"]) + "B"


def _scaled(count: float, base: int, prefixes: list[str]) -> str:
    power = max(math.floor(math.log(max(count, 1), base)), 0)
    power = min(power, len(prefixes) - 1)
    return f"{count / base**power:.4g} {prefixes[power]}"
