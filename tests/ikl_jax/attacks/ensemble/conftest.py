"""One evaluation that the tests of the ensemble compare with."""

import pytest

from tests.ikl_jax.attacks.ensemble.problems import data, evaluate


@pytest.fixture(scope="session")
def expected():
    return evaluate(*data())
