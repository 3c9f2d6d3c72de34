"""A strict session: warnings are errors, ranks never broadcast by accident."""

import os
import pathlib

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import jax
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parent.parent
GOLDEN = pathlib.Path(__file__).parent / "golden"

jax.config.update("jax_numpy_rank_promotion", "raise")
# Compiled programs are kept beside the checkout, so that a second run is quicker.
jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


@pytest.fixture
def x64():
    """64-bit types for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def golden_losses():
    """Reference values in float64, as {key: array}."""
    return dict(np.load(GOLDEN / "losses.npz"))
