"""What the makers' data sheets say of the cards, and how precisions are called."""

import importlib.util
import subprocess
from typing import Any, NamedTuple

import jax


class Card(NamedTuple):
    """Peaks of a card without sparsity.

    Attributes:
      name: part of the name that JAX gives the device.
      bfloat16, tf32: 10^12 operations a second, with sums in float32.
      bandwidth: of the memory, 10^9 bytes a second.
      source: the data sheet.
    """

    name: str
    bfloat16: float
    tf32: float
    bandwidth: float
    source: str


# The first whose name is part of the device's counts.
CARDS = (
    Card("H200", 989.4, 494.7, 4800, "NVIDIA H200 Tensor Core GPU data sheet"),
    Card("H100 PCIe", 756, 378, 2000, "NVIDIA H100 Tensor Core GPU data sheet"),
    Card("H100 NVL", 835, 417.5, 3900, "NVIDIA H100 NVL data sheet"),
    Card("H100", 989.4, 494.7, 3350, "NVIDIA H100 Tensor Core GPU data sheet, SXM"),
    Card("A100-SXM4-80GB", 312, 156, 2039, "NVIDIA A100 Tensor Core GPU data sheet"),
    Card("A100-SXM4-40GB", 312, 156, 1555, "NVIDIA A100 Tensor Core GPU data sheet"),
    Card("A100", 312, 156, 1935, "NVIDIA A100 data sheet, PCIe 80 GB"),
    Card("L40S", 362, 183, 864, "NVIDIA L40S data sheet"),
    Card("L4", 121, 60, 300, "NVIDIA L4 data sheet"),
    Card("RTX 4090", 165.2, 82.6, 1008, "NVIDIA Ada GPU architecture white paper"),
)


def card_of(device_kind: str) -> Card | None:
    """The data sheet's card; None: it is not in the table."""
    return next((card for card in CARDS if card.name in device_kind), None)


def peak(dtype: str) -> float | None:
    """10^12 operations a second that the data sheet promises; None: not known."""
    card = card_of(jax.devices()[0].device_kind)
    if card is None:
        return None
    return card.bfloat16 if dtype == "bfloat16" else card.tf32


def precision(dtype: str) -> str:
    """The name of a precision in the tables: products of float32 are TF32 on a GPU."""
    on_gpu = jax.default_backend() == "gpu"
    return "float32 (TF32)" if on_gpu and dtype == "float32" else dtype


def torch_device() -> tuple[Any, Any] | None:
    """torch and its device, set up as it is fastest; None: it is not installed.

    Raises:
      RuntimeError: JAX has a GPU, and torch does not see it.
    """
    if importlib.util.find_spec("torch") is None:
        return None
    import torch  # pyright: ignore[reportMissingImports]

    if jax.default_backend() != "gpu":
        torch.set_num_threads(1)  # JAX's threads are on the same cores
        return torch, torch.device("cpu")
    if not torch.cuda.is_available():
        raise RuntimeError("torch has no CUDA device, JAX has one")
    torch.set_float32_matmul_precision("high")  # TF32, as JAX's default
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    return torch, torch.device("cuda")


def synchronize(torch: Any, device: Any) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def driver() -> str:
    """Driver, clocks and limit of power, by `nvidia-smi`; "": there is none."""
    query = "driver_version,clocks.max.sm,power.limit"
    try:
        done = subprocess.run(
            ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
