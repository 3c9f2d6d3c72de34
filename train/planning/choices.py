"""Changes by which a run takes less memory; the run is asked which are possible."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from train.base.config import Config
from train.base.errors import UserError
from train.devices import topology
from train.experiment.run import Run, build
from train.planning import chips
from train.planning.search import Choices


def of(config: Config, name: str | None) -> Choices:
    """The choices of a run that is possible; its data are opened for each of them.

    Args:
      config: of the run.
      name: of a TPU's topology; None: the devices that there are.
    """
    devices = None if name is None else topology.devices(name)

    def possible(**fields: Any) -> bool:
        try:
            build(changed(config, fields), devices)
        except UserError:
            return False
        return True

    run = build(config, devices)
    return Choices(
        parts=[count for count in _doubled(run) if possible(accumulate=count)],
        remat=not config.model.remat and possible(**{"model.remat": True}),
        fsdp=not config.fsdp and run.mesh.shape["data"] > 1,
        bfloat16=config.model.dtype != "bfloat16",
        topologies=[] if name is None else list(_larger(name, run)),
    )


def changed(config: Config, fields: Mapping[str, Any]) -> Config:
    """A copy of a config with other values in some fields.

    Raises:
      UserError: a value is of another type than the field's.
    """
    copy: Any = config
    copy = copy.copy_and_resolve_references()
    copy.update_from_flattened_dict(dict(fields))
    return copy


def _doubled(run: Run) -> Iterator[int]:
    """Twice as many parts of a batch as there are, and so on, to one row a device.

    None on CPU, where the parts are not a loop: the program grows with them, and takes
    little less memory.
    """
    if run.mesh.devices.flat[0].platform == "cpu":
        return
    count = 2 * run.config.accumulate
    while count * run.mesh.shape["data"] <= run.config.batch_size:
        yield count
        count *= 2


def _larger(name: str, run: Run) -> Iterator[str]:
    """Topologies of twice as many chips, and so on, while all have rows of a batch."""
    chip = chips.of(run.mesh.devices.flat[0])
    shape = run.mesh.shape
    rows = run.config.batch_size * shape["model"]
    largest = rows if chip is None else min(rows, chip.largest)
    count = shape["data"] * shape["model"]
    while (count := 2 * count) <= largest:
        name = doubled(name)
        yield name


def doubled(name: str) -> str:
    """The topology of twice as many chips, along the last of its shortest sides.

    >>> doubled("v5e:2x2"), doubled("v5e:2x4"), doubled("v4:2x2x1")
    ('v5e:2x4', 'v5e:4x4', 'v4:2x2x2')
    """
    kind, sides = re.split("(?<=[:=_])", name, maxsplit=1)
    sizes = [int(side) for side in sides.split("x")]
    shortest = len(sizes) - 1 - sizes[::-1].index(min(sizes))
    sizes[shortest] *= 2
    return kind + "x".join(map(str, sizes))
