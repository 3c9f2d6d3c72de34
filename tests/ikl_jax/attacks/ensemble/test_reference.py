"""AutoAttack beside the authors' code, on the same network and images."""

import numpy as np
import pytest

from ikl_jax import attacks
from tests.ikl_jax.attacks.ensemble.problems import KEY
from tests.support.references import autoattack_reference as reference


def test_the_networks_logits_are_those_of_torch():
    x, _ = reference.images()
    expected = reference.golden()["logits64"]
    np.testing.assert_allclose(reference.network()(x[:64]), expected, atol=1e-5)


# With this key as with some seeds of the reference, Square finds two images of 289.
@pytest.mark.filterwarnings("ignore:Square, which uses no gradients:UserWarning")
@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_reference_comes_to_the_same_verdicts(norm):
    """A CNN on 500 images of Fashion-MNIST; in l-infinity and l2 balls, minutes each."""
    stored, prefix = reference.golden(), reference.NORMS[norm]
    epsilon = float(stored[f"{prefix}/eps"])
    x, labels = reference.images()
    result = attacks.autoattack(
        reference.network(), x, labels, epsilon=epsilon, norm=norm, key=KEY,
        batch_size=500,
    )  # fmt: skip
    theirs = dict(
        zip(
            ("apgd-ce", "apgd-t", "fab-t", "square"),
            reference.robust_after(norm),
            strict=True,
        )
    )
    for stage in result.stages[1:]:
        assert abs(100 * stage.robust_accuracy - theirs[stage.name]) <= 0.6 + 1e-9, (
            stage
        )
    same = result.robust == stored[f"{prefix}/robust"].astype(bool)
    assert same.mean() >= 0.985
    delta = (result.x_adv.astype(np.float64) - x).reshape(500, -1)
    sizes = np.abs(delta).max(1) if norm == "linf" else np.linalg.norm(delta, axis=1)
    assert sizes.max() <= epsilon * (1 + 1e-5)
    assert result.x_adv.min() >= 0
    assert result.x_adv.max() <= 1
