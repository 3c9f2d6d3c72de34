"""What attacks increase, against the papers' formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax.attacks.common import losses

LABELS = np.array([0, 3, 2, 4, 1])
TARGETS = np.array([1, 0, 4, 2, 3])
ROWS = np.arange(5)


@pytest.fixture(scope="module")
def logits():
    return np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32)


def others(logits):
    """The logits of the classes that are not the label, `[5, 4]`."""
    return logits[np.arange(5)[None] != LABELS[:, None]].reshape(5, 4)


def test_the_margin_and_the_difference_of_logits_ratio(logits):
    margin = others(logits).max(axis=1) - logits[ROWS, LABELS]
    np.testing.assert_allclose(losses.margin(logits, LABELS), margin, rtol=1e-6)
    first, _, third = np.sort(logits, axis=1)[:, :-4:-1].T
    expected = margin / (first - third)
    np.testing.assert_allclose(losses.dlr(logits, LABELS), expected, rtol=1e-5)


def test_the_targeted_ratio_divides_by_the_first_less_the_third_and_fourth(logits):
    first, _, third, fourth = np.sort(logits, axis=1)[:, :-5:-1].T
    difference = logits[ROWS, TARGETS] - logits[ROWS, LABELS]
    expected = difference / (first - (third + fourth) / 2)
    found = losses.targeted_dlr(logits, LABELS, TARGETS)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_each_row_has_the_loss_that_its_target_asks_for(logits, masked):
    """Also where the other loss and its gradient are not numbers."""
    aimed = ROWS % 2 == 1
    if masked:  # the targeted ratio of these rows divides infinity by infinity
        masked_out = ~aimed[:, None] & (np.arange(5) != LABELS[:, None])
        logits = np.where(masked_out, -np.inf, logits)
    targets = np.where(aimed, TARGETS, losses.NO_TARGET)

    def value_and_gradient(loss):
        total = lambda logits: (jnp.sum(loss(logits)), loss(logits))
        gradient, values = jax.grad(total, has_aux=True)(logits)
        return values[:, None], gradient

    found = value_and_gradient(
        lambda logits: losses.cross_entropy_or_targeted_dlr(logits, LABELS, targets)
    )
    targeted = value_and_gradient(
        lambda logits: losses.targeted_dlr(logits, LABELS, TARGETS)
    )
    untargeted = value_and_gradient(lambda logits: losses.cross_entropy(logits, LABELS))
    for ours, first, second in zip(found, targeted, untargeted, strict=True):
        assert masked == bool(np.isnan(first).any())
        np.testing.assert_array_equal(ours, np.where(aimed[:, None], first, second))


def test_the_cross_entropy_is_that_of_the_label(logits):
    expected = -np.asarray(jax.nn.log_softmax(logits))[ROWS, LABELS]
    np.testing.assert_allclose(losses.cross_entropy(logits, LABELS), expected)


def test_the_runner_up_is_never_the_label(logits):
    best = jnp.argmax(logits, axis=-1)
    second = np.argsort(logits, axis=1)[:, -2]
    np.testing.assert_array_equal(losses.runner_up(logits, best), second)
    np.testing.assert_array_equal(losses.runner_up(logits, second), best)
    np.testing.assert_array_equal(losses.is_wrong(logits, second), True)
    np.testing.assert_array_equal(losses.is_wrong(logits, best), False)
