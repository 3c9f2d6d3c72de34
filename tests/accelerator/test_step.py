"""The whole step in float32 beside a reference that a CPU computed in float64.

Where a pixel's gradient is near zero, rounding chooses the sign of its move. So moves
are compared by how many agree, and what follows from them to a few digits.
"""

import itertools

import jax.numpy as jnp
import numpy as np

from tests.conftest import GOLDEN
from tests.train.recipes import test_trajectory

STEPS = 5  # the last one has perturbed weights


def test_steps_agree_with_float64_on_a_cpu(monkeypatch):
    given = test_trajectory.replaced(monkeypatch)
    golden = dict(np.load(GOLDEN / "ikl_at_trajectory.npz"))
    # What the recipe takes of the images as they are must be floating point.
    golden["images"] = golden["images"].astype(np.float32)
    ours = test_trajectory.steps(
        test_trajectory.published("c100"), golden, given, jnp.float32
    )
    expected = test_trajectory.expected_steps("c100", golden)
    pairs = zip(ours, expected, strict=False)
    for i, (at, reference) in enumerate(itertools.islice(pairs, STEPS)):
        same = np.isclose(at["moved"], reference["moved"], atol=1e-3)
        assert same.mean() > 0.97, f"moves of the attack in step {i}"
        for name in ("loss", "cross_entropy", "divergence", "class_total"):
            np.testing.assert_allclose(
                at[name], reference[name], rtol=5e-3, atol=1e-3, err_msg=f"{name}, {i}"
            )
        for name, value in at["parameters"].items():
            np.testing.assert_allclose(
                value[0], reference["parameters"][name][0], rtol=1e-3, err_msg=name
            )
