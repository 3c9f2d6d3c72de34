"""Tests for a device: `pytest -m accelerator`, on a CPU too, as a rehearsal."""

import pathlib

import jax
import pytest

HERE = pathlib.Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.accelerator)


@pytest.fixture(autouse=True)
def exact_products():
    """A GPU would multiply float32 as TF32, with 11 bits."""
    with jax.default_matmul_precision("highest"):
        yield
