"""Runs side by side: what stands in a row, and that nothing stands beside the wrong."""

import io

import pytest
from rich.console import Console
from rich.text import Text

from tests.support import results
from train.base import terminal
from train.reports import tables
from train.reports.rows import rows

RESULT = results.RESULT | {"config": "digits", "weights": "averaged"}


def record(accuracy, *, attack="pgd5", **changed):
    made = {
        "attack": "pgd", "norm": "linf", "epsilon": 0.12, "steps": 5,
        "relative_step_size": 0.5, "restarts": 1, "seed": 0, "weights": "averaged",
        "step": 44, "weights_checksum": "aaaaaaaa", "dtype": "float32",
        "dataset": "digits", "data_fingerprint": "360 of 8x8x1 (0)",
        "evaluated_on": "test", "num_examples": 360, "part_examples": 360,
        "natural_accuracy": 0.9, "robust_accuracy": {attack: accuracy},
    }  # fmt: skip
    if attack.startswith("autoattack"):
        del made["relative_step_size"]
    return made | changed


def drawn(results, records=None):
    """The headings of the table, then its lines, as a wide terminal has them."""
    out = io.StringIO()
    Console(file=out, width=200).print(tables.table(results, records))
    lines = out.getvalue().splitlines()
    split = lambda line, mark: [cell.strip() for cell in line.strip(mark).split(mark)]
    heads = [split(line, "┃") for line in lines if line[:1] == "┃"]
    together = [" ".join(filter(None, column)) for column in zip(*heads, strict=True)]
    return [together, *(split(line, "│") for line in lines if line[:1] == "│")]


def test_a_result_alone():
    head, row = drawn({"runs/digits": RESULT})
    assert head == ["run", "data", "steps", "seconds", "natural", "pgd5 at 0.12"]
    assert row == ["digits", "digits (test)", "44", "7", "90.0%", "50.0%"]


def test_a_long_name_stays_in_one_piece_in_a_file_and_fits_a_terminal():
    name = "a_run_with_a_long_name[seed=0]" * 9
    table = tables.table({name: RESULT})
    file, screen = io.StringIO(), io.StringIO()
    terminal.console(file=file, width=80).print(table)
    terminal.console(file=screen, width=80, force_terminal=True).print(table)
    assert name in file.getvalue()
    assert len({len(line) for line in file.getvalue().splitlines()}) == 1
    assert max(len(Text.from_ansi(x)) for x in screen.getvalue().splitlines()) <= 80


def test_other_step_sizes_are_other_columns_and_fewer_examples_are_named():
    found = [record(0.5), record(0.75, relative_step_size=0.05, num_examples=64)]
    head, row = drawn({"digits": RESULT}, {"digits": found})
    assert head[-2:] == ["pgd5 at 0.12 step 0.05ε", "pgd5 at 0.12 step 0.5ε"]
    assert row[-2:] == ["75.0% (of 64)", "50.0%"]


def test_both_are_shown_where_one_is_of_fewer_examples():
    found = [record(0.625, num_examples=64), record(0.5)]
    _, row, below = drawn({"digits": RESULT}, {"digits": found})
    assert (row[-1], below[-1]) == ("50.0%", "62.5% (of 64)")


def test_both_are_shown_where_the_seeds_differ():
    _, row, below = drawn({"digits": RESULT}, {"digits": [record(0.25, seed=7)]})
    assert (row[-1], below[-1]) == ("50.0% (seed 0)", "25.0% (seed 7)")


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"weights": "best", "step": 22, "weights_checksum": "b"}, "best, step 22"),
        ({"weights": "last", "weights_checksum": "c"}, "last, step 44"),
        ({"step": 22, "weights_checksum": "d"}, "averaged, step 22"),
        (
            {"weights_checksum": "eeeeeeee"},
            "averaged, step 44, eeeeeeee, 360 of 8x8x1 (0)",
        ),
        ({"dtype": "bfloat16"}, "averaged, step 44, bfloat16"),
    ],
)
def test_other_weights_have_a_row_of_their_own(changed, name):
    """Of an earlier step too: a run that went on has other averaged weights now."""
    other = record(0.125, attack="autoattack_standard", num_examples=100, **changed)
    head, *lines = drawn({"digits": RESULT}, {"digits": [other]})
    assert head[:3] == ["run", "weights", "data"]
    first, second = (line for line in lines if line[0])
    assert (first[1], first[-2:]) == ("averaged", ["", "50.0%"])
    assert (second[3:5], second[-2:]) == (["", ""], ["12.5% (of 100)", ""])
    below = [line[1] for line in lines[lines.index(second) :]]
    assert ", ".join(below) == name


@pytest.mark.parametrize(
    "changed",
    [
        {"dataset": "npz:other.npz"},
        {"evaluated_on": "validation"},
        {"data_fingerprint": "360 of 8x8x1 (1)"},
    ],
)
def test_other_data_have_a_row_of_their_own(changed):
    found = rows("digits", RESULT, [record(0.25, **changed), record(0.5)])
    assert [len(row.records) for row in found] == [1, 1]


def test_what_is_known_of_records_of_earlier_versions_decides():
    """They have no checksums, nor the size of the evaluated part."""
    old = {
        "step": 44, "weights": "averaged", "dataset": "digits", "evaluated_on": "test",
        "num_examples": 40, "epsilon": 0.12, "norm": "linf", "natural_accuracy": 0.9,
        "robust_accuracy": {"autoattack_standard": 0.25},
    }  # fmt: skip
    _, row = drawn({"digits": RESULT}, {"digits": [old]})
    assert row[-2:] == ["25.0% (of 40)", "50.0%"]
    found = rows("digits", RESULT, [old | {"step": 22}])
    assert len(found) == 2
    # Nor had their results.
    new = ("weights_checksum", "dtype", "data_fingerprint", "attack")
    result = {name: value for name, value in RESULT.items() if name not in new}
    (row,) = rows("digits", result, [old])
    assert len(row.records) == 2


def test_weights_without_a_run():
    found = [
        record(0.25, weights="robust.npz", dataset=dataset, weights_checksum="f")
        for dataset in ("cifar10:a", "cifar10:b")
    ]
    for one in found:
        del one["step"]
    _, first, second = drawn({"robust": None}, {"robust": found})
    assert first[:3] == ["robust", "robust.npz", "cifar10:a (test)"]
    assert second[:3] == ["robust", "robust.npz", "cifar10:b (test)"]


def of_a_file(accuracy, **changed):
    file = {"weights": "robust.npz", "model": "resnet18", "normalize": None}
    made = record(accuracy, **file | changed)
    return {name: value for name, value in made.items() if name != "step"}


def test_other_image_sizes_have_a_row_of_their_own():
    """Also images as they are, of which a record has no sizes."""
    found = [
        of_a_file(0.5, natural_accuracy=0.75, image_sizes=[224, 256]),
        of_a_file(0.5, natural_accuracy=0.625, image_sizes=[288, 320]),
        of_a_file(0.5, natural_accuracy=0.25),
    ]
    _, first, second, third = drawn({"robust": None}, {"robust": found})
    assert [row[5] for row in (first, second, third)] == ["75.0%", "62.5%", "25.0%"]
    assert first[1] == second[1] == third[1] == "robust.npz"
    data = [row[2] for row in (first, second, third)]
    assert data == [
        "digits (test), image size 224 of 256",
        "digits (test), image size 288 of 320",
        "digits (test)",
    ]


def test_the_image_size_is_shown_only_where_it_differs():
    _, row = drawn({"a": None}, {"a": [of_a_file(0.5, image_sizes=[224, 256])]})
    assert row[2] == "digits (test)"


def test_image_sizes_that_are_not_known_agree_with_any():
    """Results have none, nor have records of earlier versions, without checksums."""
    sized = record(0.25, image_sizes=[224, 256])
    old = record(0.125)
    del old["weights_checksum"]
    (row,) = rows("digits", RESULT, [sized, old])
    assert len(row.records) == 3


@pytest.mark.parametrize(
    "changed", [{"model": "resnet34"}, {"normalize": [[0.5], [0.5]]}]
)
def test_other_settings_of_the_network_have_a_row_of_their_own(changed):
    found = [of_a_file(0.5), of_a_file(0.25, **changed)]
    assert len(rows("robust", None, found)) == 2


def test_runs_of_other_seeds_share_their_columns():
    other = RESULT | {"attack": RESULT["attack"] | {"seed": 1}}
    head, first, second = drawn({"a": RESULT, "b": other})
    assert head[-1] == "pgd5 at 0.12"
    assert first[-1] == second[-1] == "50.0%"


def test_a_run_that_was_not_attacked():
    result = {
        name: value
        for name, value in RESULT.items()
        if name not in ("attack", "epsilon", "norm")
    }
    result |= {"robust_accuracy": {}, "accuracy_by_shots": {"many": 0.5, "few": 0.25}}
    head, row = drawn({"a": result})
    assert head[-3:] == ["natural", "many shot", "few shot"]
    assert row[-2:] == ["50.0%", "25.0%"]
