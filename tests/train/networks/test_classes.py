"""Classes that are padded, and data sets whose classes are not the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import models
from train.base.errors import UserError
from train.networks import classes
from train.networks.classes import PADDING_LOGIT


@pytest.mark.parametrize(
    ("num_classes", "multiple_of", "width"),
    [(10, 1, 10), (10, 4, 12), (12, 4, 12), (1, 8, 8)],
)
def test_the_padded_width(num_classes, multiple_of, width):
    assert classes.padded_width(num_classes, multiple_of) == width


def test_padded_columns_are_no_classes():
    padded = classes.PaddedClasses(models.create("cnn_4", 8), 5)
    x = jnp.asarray(np.random.default_rng(0).random((3, 8, 8, 1)), jnp.float32)
    logits, _ = padded.init_with_output(jax.random.key(0), x)
    assert logits.shape == (3, 8)
    assert (logits[:, 5:] == PADDING_LOGIT).all()
    assert (logits[:, :5] != PADDING_LOGIT).all()
    assert (jax.nn.softmax(logits)[:, 5:] == 0).all()


def test_logits_fit_another_padding():
    logits = jnp.arange(12.0).reshape(2, 6)
    for num_classes, width in ((6, 6), (6, 8), (5, 8)):
        fitted = classes.fitted(logits, num_classes, width)
        assert fitted.shape == (2, width)
        assert (fitted[:, :num_classes] == logits[:, :num_classes]).all()
        assert (fitted[:, num_classes:] == PADDING_LOGIT).all()


def test_the_first_class_means_are_uniform_over_the_classes():
    means = classes.uniform_means(range(3), 4).mean
    np.testing.assert_allclose(means[:3, :3], 1 / 3, rtol=1e-6)
    assert (means[:, 3] == 0).all()


def test_the_classes_must_be_the_same():
    classes.check_same("a", 2, ("cat", "dog"), "b", 2, ("cat", "dog"))
    classes.check_same("a", 2, None, "b", 2, ("cat", "dog"))
    with pytest.raises(UserError, match="a has 2 classes, b has 3"):
        classes.check_same("a", 2, None, "b", 3, None)
    with pytest.raises(UserError, match="class 1 is 'dog' in a and 'cow' in b"):
        classes.check_same("a", 2, ("cat", "dog"), "b", 2, ("cat", "cow"))
