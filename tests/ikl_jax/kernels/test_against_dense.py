"""The kernels, interpreted, give the values and gradients of the losses of XLA."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import case_rows
from tests.ikl_jax.kernels import cases

# All others take longer.
QUICK = [
    ("whole rows", "kl_divergence", "odd rows"),
    ("whole rows", "kd_loss", "two dtypes, few rows"),
    ("whole rows", "dkl_loss", "half precision"),
    ("whole rows", "gkl_loss", "mask of all entries"),
    ("blocks of classes", "soft_cross_entropy", "odd rows"),
    ("blocks of classes", "dkl_loss", "half precision"),
    ("blocks of classes", "ikl_loss", "mask of classes"),
    ("rows of a GPU", "kd_loss", "odd rows"),
    ("rows of a GPU", "dkl_loss", "mask of all entries"),
]
PAIRS = list(itertools.product(cases.FORMS, cases.NAMES, cases.CASES))


def same(ours, theirs):
    for found, expected in zip(
        jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True
    ):
        assert found.dtype == expected.dtype
        size = np.nanmax(np.abs(np.asarray(expected, np.float32)), initial=0.0)
        size = size if np.isfinite(size) else 1.0
        half = expected.dtype == jnp.bfloat16
        np.testing.assert_allclose(
            np.asarray(found, np.float32), np.asarray(expected, np.float32),
            rtol=8e-3 if half else 1e-5, atol=(4e-3 if half else 1e-6) * size,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("form", "name", "case"), case_rows(PAIRS, quick=QUICK, mark=pytest.mark.long)
)
def test_values_and_gradients(form, name, case):
    case = cases.CASES[case]
    n, m = case.logits()
    values = cases.scalars(name, case.shape[:-1])

    @jax.jit
    def both(n, m, values):
        return [
            cases.values_and_gradients(loss, n, m, values)
            for loss in cases.losses(name, case, cases.FORMS[form])
        ]

    theirs, ours = both(n, m, values)
    same(ours, theirs)
