"""What applies the steps of policies."""

import re

import numpy as np
import pytest

from tests.support.policies import (
    images,
    steps_of,
)
from train.base.errors import UserError
from train.data.augment import auto_augment, policy, rand_augment

DRAWS = {
    "auto_augment": auto_augment.random_steps,
    "rand_augment": rand_augment.random_steps,
    "fixmatch": rand_augment.random_fixmatch_steps,
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("channels", [1, 3])
def test_rows_of_a_batch_are_what_they_are_in_the_whole(draw, channels):
    batch = images(40, channels)
    steps = draw(40, np.random.default_rng(7))
    np.testing.assert_array_equal(steps, draw(40, np.random.default_rng(7)))
    assert (steps != draw(40, np.random.default_rng(8))).any()
    before = batch.copy()
    whole = policy.transform(batch, steps)
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(batch, before)
    assert (whole != batch).any()
    for mine in (np.arange(13), np.array([39, 2, 17]), np.array([], int)):
        np.testing.assert_array_equal(
            policy.transform(batch[mine], steps[mine]), whole[mine]
        )


def test_steps_are_taken_in_order():
    image = images(1)
    twice = policy.transform(image, steps_of(("Solarize", 100), ("Posterize", 2)))
    solarized = np.where(image < 100, image, 255 - image)
    np.testing.assert_array_equal(twice, solarized // 64 * 64)


def test_what_comes_in_is_the_fill():
    image = images(1)
    shift = steps_of(("TranslateX", 0.25))
    assert (policy.transform(image, shift)[:, :, :3] == 0).all()
    assert (policy.transform(image, shift, fill=128)[:, :, :3] == 128).all()


@pytest.mark.parametrize(
    "batch",
    [
        images(2).astype(np.float32),
        images(2)[..., 0],
        images(2)[:, 0],
        images(2)[..., :2],
        np.zeros((2, 4, 4, 4), np.uint8),
        np.zeros((2, 0, 4, 3), np.uint8),
        np.zeros((2, 4, 4, 3), np.int8),
    ],
    ids=[
        "float",
        "no channels",
        "no height",
        "2 channels",
        "4 channels",
        "no rows",
        "int8",
    ],
)
def test_images_that_no_policy_transforms(batch):
    steps = auto_augment.random_steps(2, np.random.default_rng(0))
    with pytest.raises(UserError, match=r"uint8 images \[B, H, W, K\] of K = 1 or 3"):
        policy.transform(batch, steps)
    with pytest.raises(UserError, match=re.escape(f"{batch.dtype}")):
        policy.check(batch)


def test_steps_that_do_not_fit_the_images():
    steps = auto_augment.random_steps(3, np.random.default_rng(0))
    with pytest.raises(UserError, match=r"steps must be \[2, S\]"):
        policy.transform(images(2), steps)
    with pytest.raises(UserError, match="got float64"):
        policy.transform(images(3), np.zeros((3, 2)))
    with pytest.raises(UserError, match="steps must be"):
        policy.transform(images(3), steps[:, 0])


@pytest.mark.parametrize("fill", [-1, 256])
def test_a_fill_that_is_no_level(fill):
    with pytest.raises(UserError, match=rf"fill must lie in \[0, 255\], got {fill}"):
        policy.transform(images(1), steps_of(("Rotate", 30)), fill=fill)
