"""Corruption errors against their definition, and baselines."""

import json

import numpy as np
import pytest

from train.base.errors import UserError
from train.data.corruptions.corrupted import COMMON
from train.evaluation.measures.corruptions import baselines, scores
from train.evaluation.measures.corruptions.scores import Baseline

ALL = [1, 2, 3, 4, 5]
ARGUMENTS = {
    "measure": "corruptions", "data_fingerprint": "a", "evaluated_on": "test",
    "num_examples": 10, "corrupted_images": "generated, version 1, seed 0",
}  # fmt: skip


def test_mce_is_the_mean_of_ratios_of_sums_over_severities():
    rng = np.random.default_rng(0)
    names = ["fog", "snow", "saturate"]
    correct = rng.random((3, 5, 200)) < rng.uniform(0.2, 0.9, (3, 5, 1))
    natural = rng.random(200) < 0.95
    others = {name: rng.uniform(0.3, 0.9, 5) for name in names}  # by severity
    means = {name: errors.mean() for name, errors in others.items()}
    baseline = Baseline("other", means, 0.1)
    found = scores.found(correct, natural, names, names[:2], baseline)
    absolute, relative = [], []
    for row, name in enumerate(names):
        errors = [1 - correct[row, s].mean() for s in range(5)]
        absolute.append(sum(errors) / sum(others[name]))
        above = sum(error - (1 - natural.mean()) for error in errors)
        relative.append(above / sum(error - 0.1 for error in others[name]))
    assert found["mce"] == pytest.approx(np.mean(absolute[:2]))
    assert found["relative_mce"] == pytest.approx(np.mean(relative[:2]))
    assert [*found["corruption_error"].values()] == pytest.approx(absolute)
    assert [*found["relative_corruption_error"].values()] == pytest.approx(relative)
    assert found["mean_accuracy"] == pytest.approx(correct[:2].mean())
    assert found["mean_accuracy_by_severity"] == pytest.approx(
        correct[:2].mean((0, 2)).tolist()
    )
    assert found["accuracy"]["snow"][3] == correct[1, 3].mean()
    assert found["averaged_over"] == ["fog", "snow"]
    assert json.loads(json.dumps(found)) == found


def test_a_network_is_its_own_baseline():
    rng = np.random.default_rng(1)
    correct, natural = rng.random((2, 5, 50)) < 0.5, rng.random(50) < 0.9
    errors = dict(zip(("fog", "snow"), 1 - correct.mean((1, 2)), strict=True))
    itself = Baseline("itself", errors, 1 - natural.mean())
    found = scores.found(correct, natural, ["fog", "snow"], ["fog", "snow"], itself)
    assert found["mce"] == pytest.approx(1)
    assert found["relative_mce"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [
        (None, {}),
        (Baseline("perfect", {"fog": 0.0}, 0.0), {"fog": None}),
        (Baseline("of other corruptions", {"snow": 0.5}, 0.1), {"fog": None}),
    ],
)
def test_what_is_not_defined_is_none(baseline, expected):
    correct = np.ones((1, 5, 4), bool)
    found = scores.found(correct, correct[0, 0], ["fog"], ["fog"], baseline)
    assert found["mce"] is None
    assert found["relative_mce"] is None
    assert found["corruption_error"] == expected


def opened(text, names=("fog",), severities=ALL, num_classes=10, **arguments):
    alike = ARGUMENTS | arguments
    return baselines.opened(str(text), names, severities, alike, num_classes)


def test_alexnet_has_the_published_errors():
    found = opened("alexnet", COMMON, num_classes=1000)
    assert found.errors["gaussian_noise"] == 0.886428
    assert found.errors["jpeg_compression"] == 0.6065
    # As the paper's table 1 has the mean: 78.9 % error.
    assert np.mean([*found.errors.values()]) == pytest.approx(0.789, abs=5e-4)
    with pytest.raises(UserError, match="1000 classes, but the data have 10"):
        opened("alexnet")
    with pytest.raises(UserError, match="needs all of them, got --severities=1,3"):
        opened("alexnet", severities=[1, 3], num_classes=1000)


def test_a_file_has_errors_by_severity_or_their_mean(tmp_path):
    path = tmp_path / "other.json"
    errors = {"fog": [0.1, 0.2, 0.3, 0.4, 0.6], "snow": 0.5}
    path.write_text(json.dumps({"natural_error": 0.05, "errors": errors}))
    found = opened(path, ["fog", "snow"])
    assert found.errors == pytest.approx({"fog": 0.32, "snow": 0.5})
    assert (found.name, found.natural_error) == ("other.json", 0.05)
    assert opened(path, severities=[1, 5]).errors["fog"] == pytest.approx(0.35)
    with pytest.raises(UserError, match="errors of snow are a mean over five"):
        opened(path, ["snow"], [1, 5])
    with pytest.raises(UserError, match="errors lacks frost, contrast"):
        opened(path, ["frost", "fog", "contrast"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "must hold a JSON object"),
        ({"natural_error": 0.1}, "lacks the field errors"),
        ({"errors": {"fog": [0.1, 0.2]}}, "must be 5 numbers, .* got 2 numbers"),
        (
            {"errors": {"fog": 32.0}},
            r"errors of fog must be errors in \[0, 1\], got 32",
        ),
        ({"errors": {"fog": [0.1] * 4 + ["x"]}}, "errors of fog .* got 'x'"),
        ({"errors": {"fog": True}}, "errors of fog .* got True"),
        ({"errors": {"fog": 0.1}, "natural_error": -1}, "natural_error must be errors"),
        ({"errors": [0.1]}, "errors must hold a JSON object"),
    ],
)
def test_damaged_files_are_refused(tmp_path, content, message):
    path = tmp_path / "other.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        opened(path)


def write_records(workdir, *records):
    content = {f"record {i}": record for i, record in enumerate(records)}
    (workdir / "evaluation.json").write_text(json.dumps(content))


def record(**changed):
    return {
        **ARGUMENTS, "robust_accuracy": {}, "natural_accuracy": 0.9, "weights": "last",
        "corruptions": ["snow", "fog"], "severities": [1, 2, 3, 4, 5],
        "found": {"accuracy": {"fog": [0.9, 0.8, 0.7, 0.6, 0.5], "snow": [1.0] * 5}},
        **changed,
    }  # fmt: skip


def test_a_runs_newest_record_of_the_same_images_is_a_baseline(tmp_path):
    write_records(tmp_path, record(), record(num_examples=9), {"robust_accuracy": {}})
    found = opened(tmp_path)
    assert found.errors == pytest.approx({"fog": 0.3})
    assert found.natural_error == pytest.approx(0.1)
    assert opened(tmp_path, severities=[2, 4]).errors["fog"] == pytest.approx(0.3)
    for changed in (
        {"num_examples": 8}, {"names": ["frost"]}, {"corrupted_images": "cifar_c"},
        {"data_fingerprint": "b"},
    ):  # fmt: skip
        with pytest.raises(UserError, match="not evaluated on the same corrupted imag"):
            opened(tmp_path, **changed)


def test_a_folder_without_such_a_record_is_no_baseline(tmp_path):
    with pytest.raises(UserError, match="no record of --measure=corruptions"):
        opened(tmp_path)
    with pytest.raises(UserError, match="no record of --measure=corruptions"):
        opened(tmp_path / "no")
