"""What a run costs, before it starts: `python -m train --config=... --plan`.

The step is compiled and never run, for the devices and the mesh that the run would
have, or for those of a TPU that is not there (`--topology`). Floating-point operations
are counted from the recipe itself; memory and collectives are what the compiler of
these devices says, so plan for the kind of machine that will train.
"""

import dataclasses
import math
import os
from typing import Any, NamedTuple

import jax

from ikl_jax.types import PyTree
from train.base.config import Config
from train.base.errors import UserError
from train.devices import sharding, topology
from train.experiment.run import Run, build
from train.planning import chips, compiled, flops
from train.planning.compiled import Compiled, Refused
from train.teachers.teacher import Teacher

GIB = chips.GIB
# 10^12 operations a second of a device, where none are given: a round number, not
# measured.
DEFAULT_TFLOPS = 100.0
# Of the peak of a TPU's chip, where no other is given: as round, measured as little.
DEFAULT_SHARE = 0.3


class Target(NamedTuple):
    """What a run is planned for.

    Attributes:
      topology: the name of a TPU's topology; None: the devices that there are.
      tflops: 10^12 operations that a device does in a second, sustained, > 0; None: a
        share of the peak of its kind, or `DEFAULT_TFLOPS`.
      peak_share: that share, in (0, 1], of a topology's chips; None: `DEFAULT_SHARE`.
      memory: GiB that a device has, > 0; None: as the device says.
    """

    topology: str | None = None
    tflops: float | None = None
    peak_share: float | None = None
    memory: float | None = None

    def check(self) -> None:
        """Raises `UserError` for a number that is not possible or has no effect."""
        for name, value in (("tflops", self.tflops), ("memory", self.memory)):
            if value is not None and not 0 < value < math.inf:
                raise UserError(f"{name} must be > 0 and finite, got {value:g}")
        if self.peak_share is None:
            return
        if not 0 < self.peak_share <= 1:
            raise UserError(f"peak_share must be in (0, 1], got {self.peak_share:g}")
        if self.tflops is not None or self.topology is None:
            raise UserError(
                "peak_share is for a topology without tflops, got "
                f"tflops={self.tflops}, topology={self.topology}"
            )


HERE = Target()


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
      step: the compiled step.
      available: bytes of memory of each device; None where nobody says.
      tflops: 10^12 operations that a device is assumed to do in a second.
      assumed: where that number comes from.
    """

    device: str
    devices: tuple[int, int]
    parameters: int
    batch_size: int
    steps_per_epoch: int
    steps: int
    flops: int
    state: int
    step: Compiled | Refused
    available: int | None
    tflops: float
    assumed: str

    @property
    def hours(self) -> float:
        """Hours of training, at the throughput that is assumed."""
        return self.steps * self.flops / (self.count * self.tflops * 1e12) / 3600

    @property
    def count(self) -> int:
        """The number of devices."""
        return self.devices[0] * self.devices[1]

    @property
    def peak(self) -> int | None:
        """Bytes that a step needs on each device, with the state; None: not known."""
        if isinstance(self.step, Refused):
            return self.step.needed
        return self.step.memory.total

    @property
    def fits(self) -> bool:
        if isinstance(self.step, Refused):
            return False
        return self.available is None or self.step.memory.total <= self.available


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


def plan(config: Config, target: Target = HERE) -> Plan:
    """The plan of a config.

    Nothing is compiled where the train state alone exceeds the memory of a device.

    Args:
      config: of the run. Its data must be there: their number decides the steps.
      target: what to plan for.

    Raises:
      UserError: the config cannot be run there, or the target is not possible.
    """
    target.check()
    name = target.topology
    run = build(config, None if name is None else topology.devices(name))
    state, batch, device = run.abstract_state, _a_batch(run), run.mesh.devices.flat[0]
    size, memory = bytes_on_a_device(state), _memory_of(device, target)
    if memory is not None and size > memory:
        step = Refused("not compiled", size, memory, 0.0)
    else:
        step = compiled.step(run, batch, there=name is None)
    if isinstance(step, Refused) and target.memory is None:
        memory = step.available or memory
    tflops, assumed = _speed(device, target)
    shape = run.mesh.shape
    return Plan(
        device=_told(device, name),
        devices=(shape["data"], shape["model"]),
        parameters=sum(leaf.size for leaf in jax.tree.leaves(state.params)),
        batch_size=config.batch_size,
        steps_per_epoch=run.steps_per_epoch,
        steps=run.total_steps,
        flops=flops.count(run.recipe.step, state, batch) + _of_the_teacher(run, batch),
        state=size,
        step=step,
        available=memory,
        tflops=tflops,
        assumed=assumed,
    )


def bytes_on_a_device(state: PyTree) -> int:
    """Bytes of a tree, of which leaves are divided as their shardings say."""
    leaves = jax.tree.leaves(state)
    shapes = [leaf.sharding.shard_shape(leaf.shape) for leaf in leaves]
    return sum(
        math.prod(shape) * leaf.dtype.itemsize
        for leaf, shape in zip(leaves, shapes, strict=True)
    )


def _a_batch(run: Run) -> dict[str, jax.ShapeDtypeStruct]:
    """The shapes of the run's first batch on its devices, with a teacher's logits."""
    batch = sharding.abstract(next(run.training_batches()), run.mesh)
    if run.config.teacher.path:
        place = sharding.over_batch(run.mesh)
        shape = (batch["label"].shape[0], run.num_logits)
        batch["teacher_logits"] = jax.ShapeDtypeStruct(shape, "float32", sharding=place)
    return batch


def _of_the_teacher(run: Run, batch: Any) -> int:
    """Operations of a teacher that is asked in each step, on whatever device."""
    if run.config.teacher.cache or not run.config.teacher.path:
        return 0
    here = sharding.create_mesh((1, 1), jax.local_devices()[:1])
    teacher = Teacher.of(dataclasses.replace(run, mesh=here))
    assert teacher is not None
    images = batch["image"]
    return flops.count(teacher.logits, jax.ShapeDtypeStruct(images.shape, images.dtype))


def _told(device: Any, name: str | None) -> str:
    if name is None:
        return f"{device.platform} ({device.device_kind})"
    return f"{device.device_kind} ({name})"


def _speed(device: Any, target: Target) -> tuple[float, str]:
    """10^12 operations of a device in a second, and where the number is from."""
    chip = chips.of(device) if target.topology else None
    if target.tflops or chip is None:
        return target.tflops or DEFAULT_TFLOPS, "--tflops"
    share = target.peak_share or DEFAULT_SHARE
    return share * chip.tflops, f"{100 * share:.3g} % of the peak; --peak_share"


def _memory_of(device: Any, target: Target) -> int | None:
    if target.memory:
        return round(target.memory * GIB)
    if target.topology:
        chip = chips.of(device)
        return None if chip is None else round(chip.memory * GIB)
    if device.platform == "cpu":
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return whole // jax.local_device_count()
    return (device.memory_stats() or {}).get("bytes_limit")
