"""The measure `corruptions` on a network that compares brightness; no model is run."""

import types

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from tests.support import natural_images
from tests.support.data import data_config
from train.base.errors import UserError
from train.data.corruptions import corrupted
from train.data.splits import DataSet, InMemory
from train.evaluation.judgement import Judgement, Options
from train.evaluation.measures import judging
from train.evaluation.measures.registry import MEASURES
from train.evaluation.outputs import Outputs
from train.reports.measures import PICTURES

MEASURE = MEASURES["corruptions"]
COUNT = 10
FIELDS = {"weights": "last", "num_examples": COUNT}


class Brightness:
    """A context whose network says 1 for bright images; it counts what it is shown."""

    def __init__(self, workdir, channels=3, stop_after=10**9, seed=None, **given):
        images = natural_images.crops(32, 24)[:12, ..., :channels]
        labels = (images.mean((1, 2, 3)) > 128).astype(np.int32)
        split = InMemory(images, labels)
        config = types.SimpleNamespace(data=data_config("npz:x"))
        self.target = types.SimpleNamespace(
            data=DataSet(split, split, 2, images.shape[1:]), config=config,
            workdir=workdir, arguments=lambda count: FIELDS,
        )  # fmt: skip
        self.values = judging.values([MEASURE], given)
        self.options, self.count = Options(seed=seed), COUNT
        self.console, self.shown = Console(quiet=True), []
        self._left = stop_after

    @property
    def outputs(self):
        (found,) = self.outputs_of(self.target.data.test, COUNT)
        self.shown.pop()
        return found

    def outputs_of(self, split, limit=None):
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        self.shown.append((getattr(split, "name", ""), getattr(split, "severity", 0)))
        rows = np.arange(limit)[::-1]  # in any order
        batch = split.take(rows)
        bright = batch["image"].mean((1, 2, 3)) - 128
        yield Outputs(rows, batch["label"], np.stack([-bright, bright], axis=1))


def found_by(context):
    ready = MEASURE.prepare(context)
    arguments = {**FIELDS, "measure": "corruptions", **ready.arguments}
    return ready.find(Judgement("a name", arguments, {}, {})), arguments


def test_verdicts_are_those_of_each_corrupted_image(tmp_path):
    names = ("fog", "brightness", "snow")
    context = Brightness(tmp_path, corruptions=",".join(names), severities="5,1")
    (numbers, arrays), arguments = found_by(context)
    assert arguments["corruptions"] == [*names]
    assert arguments["severities"] == [1, 5]
    assert arrays["corrupted_correct"].shape == (3, 2, COUNT)
    test = context.target.data.test
    for row, name in enumerate(names):
        for column, severity in enumerate((1, 5)):
            images = corrupted.corrupt(
                test.images[:COUNT], np.arange(COUNT), name, severity
            )
            right = (images.mean((1, 2, 3)) > 128) == test.labels[:COUNT]
            np.testing.assert_array_equal(
                arrays["corrupted_correct"][row, column], right
            )
            assert numbers["accuracy"][name][column] == right.mean()
    assert numbers["mean_accuracy"] == pytest.approx(arrays["corrupted_correct"].mean())
    assert 0 < numbers["mean_accuracy"] < 1
    assert numbers["mce"] is None
    assert (arrays["corruptions"] == names).all()
    np.testing.assert_array_equal(arrays["example"], test.images[0])
    strongest = corrupted.corrupt(test.images[:1], np.zeros(1, int), "snow", 5)
    np.testing.assert_array_equal(arrays["example_corrupted"][2], strongest[0])


def test_the_mean_is_over_the_common_corruptions(tmp_path):
    numbers, arrays = found_by(Brightness(tmp_path, corruptions="all", severities="3"))[
        0
    ]
    assert len(numbers["accuracy"]) == 19
    assert numbers["averaged_over"] == [*corrupted.COMMON]
    common = arrays["corrupted_correct"][:15]
    assert numbers["mean_accuracy"] == pytest.approx(common.mean())
    extra = Brightness(tmp_path, corruptions="spatter", severities="3")
    assert found_by(extra)[0].found["averaged_over"] == ["spatter"]


def test_it_goes_on_where_it_was_stopped(tmp_path):
    given = {"corruptions": "fog,snow,contrast", "severities": "1,2"}
    (tmp_path / "whole").mkdir()
    whole = found_by(Brightness(tmp_path / "whole", **given))[0]
    stopped = Brightness(tmp_path, stop_after=3, **given)
    with pytest.raises(KeyboardInterrupt):
        found_by(stopped)
    assert stopped.shown == [("fog", 1), ("fog", 2), ("snow", 1)]
    resumed = Brightness(tmp_path, **given)
    found = found_by(resumed)[0]
    assert resumed.shown == [("snow", 2), ("contrast", 1), ("contrast", 2)]
    assert found.found == whole.found
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
    # More corruptions take what is there; another seed sees other images.
    more = Brightness(tmp_path, corruptions="snow,pixelate", severities="2")
    found_by(more)
    assert more.shown == [("pixelate", 2)]
    other = Brightness(tmp_path, corruptions="snow", severities="2", seed=1)
    assert found_by(other)[1]["corrupted_images"].endswith("seed 1")
    assert other.shown == [("snow", 2)]


def test_a_baseline_changes_the_record_and_not_the_verdicts(tmp_path):
    path = tmp_path / "other.json"
    path.write_text('{"natural_error": 0.0, "errors": {"fog": 0.4}}')
    without = found_by(Brightness(tmp_path, corruptions="fog"))
    given = Brightness(tmp_path, corruptions="fog", baseline=str(path))
    numbers, arguments = found_by(given)[0].found, found_by(given)[1]
    assert given.shown == []
    error = 1 - without[0].found["mean_accuracy"]
    assert numbers["mce"] == pytest.approx(error / 0.4)
    assert numbers["relative_mce"] == pytest.approx(error / 0.4)  # natural error 0
    assert arguments["baseline"]["errors"] == {"fog": 0.4}
    assert "baseline" not in without[1]


@pytest.mark.parametrize("channels", [1, 3])
def test_all_corruptions_leave_a_picture(tmp_path, channels):
    context = Brightness(tmp_path, channels, corruptions="all", severities="1,4")
    numbers, arrays = found_by(context)[0]
    notes = numbers.get("notes", [])
    assert len(notes) == (channels == 1)
    assert len(numbers["accuracy"]) == (19 if channels == 3 else 18)
    record = {"found": {**numbers, "mce": 0.5}, "natural_accuracy": 0.9}
    assert isinstance(PICTURES["corruptions"](record, arrays), Figure)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"corruptions": "rain"}, "unknown corruption 'rain'"),
        ({"corruptions": ""}, "unknown corruption ''"),
        (
            {"severities": "0,1"},
            "--severities must be numbers from 1 to 5 .* got '0,1'",
        ),
        ({"severities": "1-5"}, "--severities must be .* got '1-5'"),
        ({"severities": ""}, "--severities must be .* got ''"),
        (
            {"corrupted_images": "here"},
            "--corrupted_images must be generated, .* 'here'",
        ),
        ({"baseline": "alexnet"}, "1000 classes, but the data have 2"),
        ({"channels": 1, "corruptions": "saturate"}, "saturate changes colours alone"),
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path, given, message):
    with pytest.raises(UserError, match=message):
        MEASURE.prepare(Brightness(tmp_path, **given))


def test_a_seed_is_for_generated_images(tmp_path):
    context = Brightness(tmp_path, seed=1)
    labels = np.tile(context.target.data.test.labels, 5)
    np.save(tmp_path / "labels", labels)
    for name in corrupted.COMMON:
        np.save(tmp_path / name, np.zeros((60, 32, 32, 3), np.uint8))
    context.values["corrupted_images"] = f"cifar_c:{tmp_path}"
    with pytest.raises(UserError, match="--seed would have no effect"):
        MEASURE.prepare(context)
    context.options = Options()
    assert (
        MEASURE.prepare(context).arguments["corrupted_images"].startswith("cifar_c of")
    )
