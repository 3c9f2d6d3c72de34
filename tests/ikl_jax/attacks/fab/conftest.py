"""What holds for all tests of FAB."""

import pytest

from ikl_jax.attacks.common import loops


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    """One step a program, so that a test compiles little."""
    monkeypatch.setattr(loops, "gradient_steps", lambda *_: 1)
