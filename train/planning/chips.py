"""What a chip of a TPU has: memory and peak speed.

| chip | device of JAX | GiB for programs | TFLOP/s in bfloat16 | most chips |
|---|---|---|---|---|
| v4 | `TPU v4` | 30.75 | 275 | 4,096 |
| v5e | `TPU v5 lite` | 15.75 | 197 | 256 |
| v5p | `TPU v5` | 95.74 | 459 | 6,144 |
| v6e | `TPU v6 lite` | 31.25 | 918 | 256 |

Peaks and the largest slices are those of the manufacturer's pages,
https://docs.cloud.google.com/tpu/docs/v4, /v5e, /v5p and /v6e. These give 32, 16, 95
and 32 GB of memory; TPU's compiler (libtpu 0.0.42.1) leaves a program what stands
above, and says so when it refuses one, which a test repeats. A float32 convolution or
matrix product runs at the speed of bfloat16 in JAX's default precision, in which TPUs
round its inputs.
"""

from typing import Any, NamedTuple

GIB = 2**30


class Chip(NamedTuple):
    """A kind of chip.

    Attributes:
      name: as in the names of topologies.
      cores: of a chip. A device of JAX is a chip, or a core of one.
      memory: GiB that a program can take.
      tflops: 10^12 operations a second at the most, in bfloat16.
      largest: chips of the largest slice.
    """

    name: str
    cores: int
    memory: float
    tflops: float
    largest: int


V4 = Chip("v4", 2, 30.75, 275.0, 4096)
V5E = Chip("v5e", 1, 15.75, 197.0, 256)
V5P = Chip("v5p", 2, 95.74, 459.0, 6144)
V6E = Chip("v6e", 1, 31.25, 918.0, 256)
KINDS = {
    "TPU v4": V4,
    "TPU v5 lite": V5E,
    "TPU v5e": V5E,
    "TPU v5": V5P,
    "TPU v5p": V5P,
    "TPU v6 lite": V6E,
    "TPU v6e": V6E,
}


def of(device: Any) -> Chip | None:
    """What a device of JAX has, a share of its chip's; None: its kind is not known.

    Of a chip whose cores are devices of their own, each has an equal share.
    """
    chip = KINDS.get(device.device_kind)
    if chip is None:
        return None
    share = device.num_cores / chip.cores
    return chip._replace(
        cores=device.num_cores, memory=share * chip.memory, tflops=share * chip.tflops
    )
