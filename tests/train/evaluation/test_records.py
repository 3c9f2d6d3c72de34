"""Records: one for each judgement, which nothing else replaces or loses."""

import json
import re
import threading

import numpy as np
import pytest

from train.base.errors import UserError
from train.evaluation import records
from train.evaluation.judgement import (
    Judgement,
    Options,
    check_options,
    given_flags,
)

ARGUMENTS = {
    "attack": "pgd", "norm": "linf", "epsilon": 0.12, "steps": 5,
    "relative_step_size": 0.25, "restarts": 1, "seed": 0, "model": "cnn",
    "dtype": "float32", "weights": "averaged", "step": 44,
    "weights_checksum": "12345678", "dataset": "digits",
    "data_fingerprint": "360 of 8x8x1 (0)", "evaluated_on": "test",
    "num_examples": 360,
}  # fmt: skip


def judgement(accuracy=0.5, **changed):
    arguments = {**ARGUMENTS, **changed}
    results = {"natural_accuracy": 0.9, "robust_accuracy": {"pgd5": accuracy}}
    arrays = {"robust": np.arange(4) < 4 * accuracy}
    return Judgement("pgd5 at 0.12, averaged weights", arguments, results, arrays)


def accuracies(workdir):
    return [
        record["robust_accuracy"]["pgd5"] for record in records.read(workdir).values()
    ]


OTHERS = {
    "attack": "autoattack", "norm": "l2", "epsilon": 0.1200001, "steps": 6,
    "relative_step_size": 0.025, "restarts": 2, "seed": 1, "model": "cnn_4",
    "dtype": "bfloat16", "weights": "best", "step": 22,
    "weights_checksum": "12345679", "dataset": "npz:digits.npz",
    "data_fingerprint": "360 of 8x8x1 (1)", "evaluated_on": "validation",
    "num_examples": 64,
}  # fmt: skip


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_another_argument_is_another_judgement(tmp_path, argument):
    records.add(tmp_path, judgement(0.5))
    records.add(tmp_path, judgement(0.75, **{argument: OTHERS[argument]}))
    assert accuracies(tmp_path) == [0.5, 0.75]
    first, second = (
        records.per_example(tmp_path, record)
        for record in records.read(tmp_path).values()
    )
    assert (first["robust"].mean(), second["robust"].mean()) == (0.5, 0.75)


def test_the_same_judgement_replaces_itself(tmp_path):
    records.add(tmp_path, judgement(0.5, seed=1))
    records.add(tmp_path, judgement(0.5))
    records.add(tmp_path, judgement(0.25))
    record = judgement(0.25).record
    assert accuracies(tmp_path) == [0.5, 0.25]
    assert records.per_example(tmp_path, record)["robust"].mean() == 0.25
    assert len(list((tmp_path / "evaluations").iterdir())) == 2


def test_what_only_the_earlier_of_the_same_has_stays(tmp_path):
    """A picture's distances, when the same is asked again without a picture."""
    distance = np.arange(4.0)
    with_picture = judgement(0.5).extended({"curve": [1]}, {"distance": distance})
    records.add(tmp_path, with_picture)
    records.add(tmp_path, judgement(0.5))
    (record,) = records.read(tmp_path).values()
    assert record["curve"] == [1]
    arrays = records.per_example(tmp_path, record)
    np.testing.assert_array_equal(arrays["distance"], distance)
    (tmp_path / record["per_example"]).write_bytes(b"damaged")
    records.add(tmp_path, judgement(0.5))
    assert set(records.per_example(tmp_path, record)) == {"robust"}


def test_a_record_holds_its_arguments_and_results(tmp_path):
    records.add(tmp_path, judgement())
    ((key, record),) = records.read(tmp_path).items()
    assert record.items() >= ARGUMENTS.items()
    assert record["robust_accuracy"] == {"pgd5": 0.5}
    assert record["per_example"] == f"evaluations/pgd5-at-0.12-{key[-13:-1]}.npz"
    assert (tmp_path / record["per_example"]).exists()


def test_the_digest_is_of_twelve_digits():
    assert re.fullmatch("[0-9a-f]{12}", judgement().digest)


def test_records_that_are_added_at_the_same_time_are_all_there(tmp_path):
    def add(first):
        for seed in range(first, first + 12):
            records.add(tmp_path, judgement(seed=seed))

    threads = [threading.Thread(target=add, args=(100 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seeds = {record["seed"] for record in records.read(tmp_path).values()}
    assert seeds == {100 * i + j for i in range(4) for j in range(12)}


def test_records_of_earlier_versions_stay_as_they_are(tmp_path):
    old = {"pgd5 at 0.12, averaged weights": {"robust_accuracy": {"pgd5": 0.125}}}
    (tmp_path / "evaluation.json").write_text(json.dumps(old))
    records.add(tmp_path, judgement())
    assert accuracies(tmp_path) == [0.125, 0.5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"cut', r"evaluation.json cannot be read"),
        ("[1, 2]", r"evaluation.json must hold a JSON object, got \[1, 2\]"),
        ('{"pgd": 0.5}', r"the record 'pgd' must hold a JSON object, got 0.5"),
        ('{"pgd": {"steps": 5}}', r"the record 'pgd' lacks the field robust_accuracy"),
    ],
)
def test_a_file_that_holds_something_else_is_refused_and_kept(
    tmp_path, content, message
):
    (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(UserError, match=message):
        records.add(tmp_path, judgement())
    assert (tmp_path / "evaluation.json").read_text() == content
    assert not (tmp_path / "evaluations").exists()


def test_a_per_example_file_that_is_gone(tmp_path):
    records.add(tmp_path, judgement())
    record = judgement().record
    (tmp_path / record["per_example"]).unlink()
    with pytest.raises(UserError, match=r"pgd5-at-0.12-.*npz cannot be read"):
        records.per_example(tmp_path, record)


def test_options_of_other_kinds_are_refused():
    takers = {
        "--attack=pgd": ("steps", "seed"),
        "--attack=other": ("version", "seed"),
        "--measure=classes": ("version", "bins"),
    }
    pgd, other = ["--attack=pgd"], ["--attack=other"]
    given = given_flags(Options(steps=3, seed=1, num_examples=5, picture=False))
    assert given == {"--steps": "steps", "--seed": "seed"}
    check_options(pgd, given, takers)
    with pytest.raises(
        UserError,
        match="--version is for --attack=other or --measure=classes, not for "
        "--attack=pgd",
    ):
        check_options(pgd, given_flags(Options(version="standard")), takers)
    given = given_flags(Options(), ["evaluation.steps", "data.source"])
    check_options(pgd, given, takers)
    with pytest.raises(
        UserError,
        match=r"--config.evaluation.steps is for --attack=pgd, not for --attack=other",
    ):
        check_options(other, given, takers)
    check_options([*other, *pgd], given, takers)  # one that reads it is enough
    with pytest.raises(UserError, match="--bins is for --measure=classes, not for"):
        check_options(pgd, {"--bins": "bins"}, takers)
