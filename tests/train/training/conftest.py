"""Data that are so few that a run over them takes seconds."""

import numpy as np
import pytest

from tests.conftest import small_images


@pytest.fixture(scope="session")
def small_source(tmp_path_factory):
    """112 examples to train on, and 16 to evaluate on."""
    path = tmp_path_factory.mktemp("data") / "small.npz"
    images, labels = small_images()
    np.savez(
        path, x_train=images[:112], y_train=labels[:112],
        x_test=images[112:], y_test=labels[112:],
    )  # fmt: skip
    return f"npz:{path}"
