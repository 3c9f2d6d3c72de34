"""A strict session: warnings are errors, ranks never broadcast by accident."""

import gc
import gzip
import importlib.metadata
import os
import pathlib
import struct

# Tests compile much and compute little: without LLVM's optimisation, which changes no
# more than rounding, they take half of the time. `make test-slow` has it.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")


def xla_flags(devices):
    """XLA's flags for that many devices on the CPU.

    Where optimisation is off, so are the emitters of fusions that compile two to three
    times slower than those before them. Later versions of XLA have no others, and end
    the process at a flag that they do not know.
    """
    flags = (
        f"--xla_force_host_platform_device_count={devices}"
        # Devices that wait for another one on a busy machine do not end the process.
        " --xla_cpu_collective_call_terminate_timeout_seconds=600"
    )
    optimised = os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] in ("0", "false")
    if optimised or not importlib.metadata.version("jaxlib").startswith("0.10."):
        return flags
    return f"{flags} --xla_cpu_use_fusion_emitters=false"


os.environ.setdefault("XLA_FLAGS", xla_flags(8))

import jax
import numpy as np
import pytest

from train.devices import topology

ROOT = pathlib.Path(__file__).parent.parent
GOLDEN = pathlib.Path(__file__).parent / "golden"
collect_ignore = [
    "support/references/networks_reference.py",
    "support/references/trajectory_network.py",
    "support/references/torch_files_reference.py",
    "support/references/trajectory_reference.py",
]  # commands, which need PyTorch

jax.config.update("jax_numpy_rank_promotion", "raise")
# Compiled programs are kept beside the checkout, so that a second run is quicker. An
# entry is not written in one piece, so what runs side by side does not share a folder,
# nor do tests with the commands that they start, some of which they kill.
CACHE = ROOT / ".cache" / "jax" / os.environ.get("PYTEST_XDIST_WORKER", "alone")
jax.config.update("jax_compilation_cache_dir", str(CACHE / "tests"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def pytest_collection_finish():
    """What is imported by now stays: the garbage collector need not look at it again."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item):
    """Tests that compile for a TPU say why they are skipped where they cannot."""
    if item.get_closest_marker("tpu") and (problem := topology.missing()):
        pytest.skip(problem)


@pytest.fixture
def x64():
    """64-bit types for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def accelerators_form(monkeypatch):
    """Programs of one test have the form of those for accelerators, and run on CPU."""
    monkeypatch.setattr(
        jax.lax, "platform_dependent", lambda *args, default, **_: default(*args)
    )


@pytest.fixture
def optimised():
    """Programs of one test, which computes more than it compiles, are optimised."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session")
def golden_losses():
    """Reference values in float64, as {key: array}."""
    return dict(np.load(GOLDEN / "losses.npz"))


def cases(values, *, quick):
    """Values of one argument for `parametrize`; all but the `quick` ones are slow."""
    return case_rows(
        [(value,) for value in values], quick=[(value,) for value in quick]
    )


def case_rows(values, *, quick, mark=pytest.mark.slow):
    """Tuples of several arguments for `parametrize`; all but the `quick` are marked."""
    return [
        pytest.param(*value, marks=() if value in quick else mark) for value in values
    ]


def small_images(channels=None):
    """128 images of 12 x 12 in 4 classes that a small network learns at once."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 128)
    images = rng.integers(0, 80, (128, 12, 12), np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(label, 2)
        image[6 * row : 6 * row + 6, 6 * column : 6 * column + 6] += 150
    if channels:
        images = np.repeat(images[..., None], channels, axis=-1)
    return images, labels


def write_idx(folder, *, compressed=False):
    """The images as MNIST's four files: 96 to train, 32 to test."""
    images, labels = small_images()
    for part, rows in (("train", slice(0, 96)), ("t10k", slice(96, None))):
        for name, array in (
            (f"{part}-images-idx3-ubyte", images[rows]),
            (f"{part}-labels-idx1-ubyte", labels[rows].astype(np.uint8)),
        ):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            content = header + array.tobytes()
            if compressed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)
    return images, labels
