"""Stage a: which card it is, and what it achieves where nothing but it limits."""

import importlib.metadata
import platform
from collections.abc import Callable

import jax
import jax.numpy as jnp

from benchmarks.stages import cards, clock
from benchmarks.stages.report import Order, Report

PACKAGES = ("jax", "jaxlib", "flax", "optax", "torch", "pyautoattack")
PRODUCTS = 10  # one after the other in one program
# dtype, JAX's precision, how the table calls it on a GPU
PRECISIONS = (
    ("bfloat16", "default", "bfloat16"),
    ("float32", "default", "float32 (TF32)"),
    ("float32", "highest", "float32 (no TF32)"),
)


def run(order: Order, report: Report) -> None:
    describe(report)
    size = 64 if order.rehearse else 8192
    entries = 2**16 if order.rehearse else 2**28
    seconds = 0.2 if order.rehearse else 1.0
    for dtype, form, name in PRECISIONS:
        name = name if jax.default_backend() == "gpu" else f"{dtype}, {form}"
        with report.attempt("limits", what="matrix product", by="JAX", precision=name):
            rate = product_rate(size, dtype, form, seconds)
            sheet = None if form == "highest" else cards.peak(dtype)
            report_rate(report, "matrix product", "JAX", name, rate, "TFLOP/s", sheet)
    torch_products(report, size, seconds)
    card = cards.card_of(jax.devices()[0].device_kind)
    sheet = card.bandwidth if card else None
    with report.attempt("limits", what="copy", by="JAX"):
        rate = copy_rate(entries, seconds)
        report_rate(report, "copy", "JAX", "float32", rate, "GB/s", sheet)


def describe(report: Report) -> None:
    device = jax.devices()[0]
    memory = (device.memory_stats() or {}).get("bytes_limit")
    report.row("card", what="device", value=f"{device.device_kind} ({device.platform})")
    report.row("card", what="devices", value=jax.device_count())
    if memory:
        text = f"{memory / 2**30:.1f} GiB of which JAX may take"
        report.row("card", what="memory", value=text)
    if details := cards.driver():
        report.row("card", what="driver, clock, power", value=details)
    report.row("card", what="Python", value=platform.python_version())
    for package in PACKAGES:
        report.row("card", what=package, value=version_of(package))
    version = getattr(device.client, "platform_version", "")
    report.row("card", what="platform", value=" ".join(version.split()))


def version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def report_rate(
    report: Report, what: str, by: str, precision: str, rate: float, unit: str,
    sheet: float | None,
) -> None:  # fmt: skip
    report.row(
        "limits", what=what, by=by, precision=precision, measured=rate, unit=unit,
        data_sheet=sheet, share=rate / sheet if sheet else None,
    )  # fmt: skip


def product_rate(size: int, dtype: str, form: str, seconds: float) -> float:
    """10^12 operations a second of a matrix product, several in one program."""
    x, y = (
        jax.random.normal(key, (size, size), dtype) / size**0.5
        for key in jax.random.split(jax.random.key(0))
    )

    @jax.jit
    def products(x: jax.Array, y: jax.Array) -> jax.Array:
        once = lambda _, x: jnp.matmul(x, y, precision=form)
        return jax.lax.fori_loop(0, PRODUCTS, once, x)

    call = lambda: products(x, y).block_until_ready()
    return PRODUCTS * 2 * size**3 / timed(call, seconds) / 1e12


def copy_rate(entries: int, seconds: float) -> float:
    """10^9 bytes a second, read and written, of adding 1 to an array."""
    add = jax.jit(lambda x: x + 1)
    x = jnp.zeros(entries)
    return 2 * x.nbytes / timed(lambda: add(x).block_until_ready(), seconds) / 1e9


def torch_products(report: Report, size: int, seconds: float) -> None:
    with report.attempt("limits", what="matrix product", by="torch"):
        found = cards.torch_device()
        if found is None:
            report.row("limits", what="matrix product", by="torch not installed")
            return
        torch, device = found
        for dtype in ("bfloat16", "float32"):
            kind = getattr(torch, dtype)
            x, y = (torch.randn(size, size, device=device, dtype=kind) for _ in "xy")

            def products(x=x, y=y) -> None:
                for _ in range(PRODUCTS):
                    torch.matmul(x, y)
                cards.synchronize(torch, device)

            rate = PRODUCTS * 2 * size**3 / timed(products, seconds) / 1e12
            name = cards.precision(dtype)
            report_rate(
                report, "matrix product", "torch", name, rate, "TFLOP/s",
                cards.peak(dtype),
            )  # fmt: skip


def timed(call: Callable[[], object], seconds: float) -> float:
    return clock.medians({"call": call}, seconds=seconds)["call"]
