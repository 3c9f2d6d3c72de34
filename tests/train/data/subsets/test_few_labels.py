"""Training parts of which a few examples are labelled."""

import numpy as np
import pytest

from tests.support.data import data_config
from train.base.errors import UserError
from train.data import checks, sources


def opened(**changed):
    config = data_config("digits", **changed)
    checks.check(config)
    return sources.open_source(config)


def contents(part):
    return [image.tobytes() for image in part.take(np.arange(len(part)))["image"]]


WHOLE = sources.open_source(data_config("digits")).train


def write_list(tmp_path, *indices):
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(map(str, indices)) + "\n")
    return str(path)


def test_as_many_labels_of_each_class_and_everything_else_unlabelled():
    data = opened(num_labels=40)
    assert np.bincount(data.train.labels).tolist() == [4] * 10
    assert contents(data.unlabelled) == contents(WHOLE)
    assert len(data.test) == 360
    others = opened(num_labels=40, unlabelled="others")
    assert contents(others.train) == contents(data.train)
    assert len(others.unlabelled) == 1437 - 40
    together = contents(others.train) + contents(others.unlabelled)
    assert sorted(together) == sorted(contents(WHOLE))


def test_their_own_seed_decides_which():
    first, again = opened(num_labels=40), opened(num_labels=40)
    assert contents(first.train) == contents(again.train)
    second = opened(num_labels=40, label_seed=1)
    assert len({*contents(first.train)} & {*contents(second.train)}) < 10
    more = opened(num_labels=100)  # of one seed, a few are among the many
    assert {*contents(first.train)} < {*contents(more.train)}


def test_a_list_of_indices_into_the_sources_training_part(tmp_path):
    indices = [700, 3, 1436, 5]
    data = opened(label_list=write_list(tmp_path, *indices), unlabelled="others")
    expected = WHOLE.take(np.sort(indices))
    found = data.train.take(np.arange(4))
    np.testing.assert_array_equal(found["image"], expected["image"])
    np.testing.assert_array_equal(data.train.labels, expected["label"])
    assert len(data.unlabelled) == 1433


def test_listed_examples_are_never_held_out(tmp_path):
    """Nor do the others depend on them: the order of what is held out is the same."""
    plain = opened(validation_size=300, evaluate_on="validation")
    held_out = contents(plain.test)
    listed = [i for i, image in enumerate(contents(WHOLE)) if image in held_out][:4]
    data = opened(
        label_list=write_list(tmp_path, *listed), validation_size=300,
        evaluate_on="validation",
    )  # fmt: skip
    assert contents(data.train) == [contents(WHOLE)[i] for i in listed]
    assert len(data.test) == 300
    assert len(data.unlabelled) == 1137
    assert not {*contents(data.test)} & {*contents(data.unlabelled)}
    assert len({*contents(data.test)} & {*held_out}) == 296


def test_labels_are_chosen_from_what_validation_leaves():
    data = opened(num_labels=40, validation_size=300, evaluate_on="validation")
    assert len(data.unlabelled) == 1137
    assert {*contents(data.train)} <= {*contents(data.unlabelled)}
    assert not {*contents(data.train)} & {*contents(data.test)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (dict(num_labels=1440), "at most the 1437 training examples, got 1440"),
        (dict(num_labels=5), "a multiple of the 10 classes, .* got 5"),
        (dict(num_labels=25), "a multiple of the 10 classes, .* got 25"),
        (dict(num_labels=1430),
         "num_labels=1430 takes 143 examples of each class, but class 0 has 139"),
        (dict(num_labels=-10), "data.num_labels must be >= 0, got -10"),
        (dict(label_seed=-1), "data.label_seed must be >= 0, got -1"),
        (dict(unlabelled="others"),
         "must be all where neither data.num_labels nor data.label_list is given"),
        (dict(num_labels=40, unlabelled="none"), "unknown data.unlabelled 'none'"),
        (dict(label_list="x", num_labels=40), "data.num_labels must be 0, got 40"),
        (dict(label_list="x", imbalance_ratio=2.0), "imbalance_ratio must be 1, got 2"),
        (dict(label_list="/nowhere"), "data.label_list: '/nowhere' cannot be read"),
        (dict(crop_fill="white"), "unknown data.crop_fill 'white'; known: black, reflect"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be(changed, message):
    with pytest.raises(UserError, match=message):
        opened(**changed)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((3, 7, 3), "label_list: .* line 3: the same example as in line 1"),
        ((3, 1437), "label_list: .* line 2: indices must be from 0 to 1436, got 1437"),
        ((), "data.label_list: .* lists no example"),
    ],
)
def test_lists_that_cannot_be(tmp_path, lines, message):
    with pytest.raises(UserError, match=message):
        opened(label_list=write_list(tmp_path, *lines))


def test_a_list_leaves_enough_to_hold_out(tmp_path):
    path = write_list(tmp_path, *range(1000))
    with pytest.raises(
        UserError, match="below the 437 training examples that data.label_list does not"
    ):
        opened(label_list=path, validation_size=437)


def test_somebody_is_left_without_a_label(tmp_path):
    path = write_list(tmp_path, *range(1437))
    with pytest.raises(UserError, match="leaves no unlabelled example: all 1437"):
        opened(label_list=path, unlabelled="others")
