"""The second view of each image: drawn apart from the first, and for whole batches."""

import numpy as np
import pytest

from configs import base
from train.base.errors import UserError
from train.data import checks, pipeline
from train.data.augment import policy, views
from train.data.splits import InMemory

COUNT, SIZE = 24, 8


def noise(channels=3):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, SIZE, SIZE, channels), dtype=np.uint8)
    return InMemory(images, np.arange(COUNT, dtype=np.int32))


def batches(rows=pipeline.all_rows, count=4, **changed):
    config = base.get_config().data
    config.update(changed)
    read = pipeline.training_batches(noise(), config, batch_size=8, seed=0, rows=rows)
    return [next(read) for _ in range(count)]


@pytest.mark.parametrize("name", [*views.VIEWS][1:])
def test_the_first_view_is_what_it_is_without_a_second(name):
    changed = dict(crop_padding=2, flip=True)
    alone = batches(**changed)
    both = batches(**changed, second_view=name, second_view_cutout=4)
    for one, two in zip(alone, both, strict=True):
        assert "second_view" not in one
        np.testing.assert_array_equal(one["image"], two["image"])
        assert two["second_view"].shape == two["image"].shape
        assert two["second_view"].dtype == np.uint8
        assert not np.array_equal(two["second_view"], two["image"])


def test_a_plain_view_has_a_crop_and_mirroring_of_its_own():
    for batch in batches(second_view="plain"):
        np.testing.assert_array_equal(batch["second_view"], batch["image"])
    cropped = np.concatenate([
        (batch["second_view"] == batch["image"]).all((1, 2, 3))
        for batch in batches(crop_padding=1, flip=True, second_view="plain")
    ])  # fmt: skip
    # Nine places and two orientations: one in eighteen is the same by chance.
    assert 0 <= cropped.mean() < 0.3


def test_a_square_is_black_in_the_second_view_alone():
    for batch in batches(second_view="plain", second_view_cutout=3):
        black = (batch["second_view"] == 0).all(-1).sum((1, 2))
        assert (black >= 4).all()
        assert (black <= 10).all()
        assert (batch["image"] == 0).all(-1).sum() <= 1
        differs = (batch["second_view"] != batch["image"]).any(-1)
        assert not differs[(batch["second_view"] != 0).any(-1)].any()


@pytest.mark.parametrize("name", [*views.VIEWS][1:])
def test_processes_see_their_rows_of_the_whole_batchs_views(name):
    changed = dict(crop_padding=2, flip=True, second_view=name, second_view_cutout=4)
    whole = batches(**changed)
    halves = [
        batches(rows=lambda size, first=first: np.arange(first, size, 2), **changed)
        for first in (0, 1)
    ]
    for batch, even, odd in zip(whole, *halves, strict=True):
        for part, first in ((even, 0), (odd, 1)):
            for field in batch:
                np.testing.assert_array_equal(part[field], batch[field][first::2])


def test_a_policy_wants_grey_or_colour_images():
    config = base.get_config().data
    config.second_view = "auto_augment"
    checks.check_images(config, (8, 8, 3))
    message = r"data\.second_view=auto_augment .* images of digits: .* \[1, 8, 8, 2\]"
    with pytest.raises(UserError, match=message):
        checks.check_images(config, (8, 8, 2))
    config.second_view = "plain"
    checks.check_images(config, (8, 8, 2))


def transformed(view, images, seed=0):
    drawn = views.draw(view, len(images), np.random.default_rng(seed))
    return views.apply(view, images, drawn), drawn


def test_a_grey_square_has_a_side_of_its_own_up_to_the_largest():
    images = np.zeros((400, 16, 16, 3), np.uint8)
    changed, drawn = transformed(views.View("plain", largest_square=0.5), images)
    assert 0 < drawn.sides.min() < 0.05
    assert 0.45 < drawn.sides.max() < 0.5
    areas = (changed == views.GREY).all(-1).sum((1, 2))
    assert set(np.unique(changed)) == {0, views.GREY}
    assert (areas <= np.floor(16 * drawn.sides) ** 2).all()
    inside = areas == np.floor(16 * drawn.sides) ** 2
    assert 0.3 < inside.mean() < 0.9  # the others lie partly outside of the image


@pytest.mark.parametrize("policy_", ["rand_augment", "uniform_rand_augment"])
def test_both_kinds_of_randaugment_take_the_number_of_operations(policy_):
    images = noise().images
    for count in (1, 3):
        _, drawn = transformed(views.View(policy_, operations=count), images)
        assert drawn.steps.shape == (COUNT, count)


def test_the_magnitude_is_that_of_the_view():
    """A rotation by 0 or 30 degrees, in bins 0 and 30."""
    for magnitude, degrees in ((0, 0), (15, 15), (30, 30)):
        view = views.View("rand_augment", operations=8, magnitude=magnitude)
        _, drawn = transformed(view, noise().images)
        rotations = drawn.steps["operation"] == policy.NAMES.index("Rotate")
        assert rotations.any()
        assert set(np.abs(drawn.steps["value"][rotations])) == {degrees}
