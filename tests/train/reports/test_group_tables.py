"""Means, deviations and differences as they are shown, and what is said beside them."""

import csv
import io
import re

import numpy as np
import pytest

from tests.support.results import finished, measure
from train.base.errors import UserError
from train.reports import comparison, formats, frontier, group_tables, measured, tables
from train.reports.folders import Found
from train.reports.formats import Page

NATURAL = {"kl": (0.90, 0.92, 0.91), "ikl": (0.93, 0.94, 0.98)}
ROBUST = {"kl": (0.50, 0.52, 0.51), "ikl": (0.55, 0.57, 0.53)}


def runs(**more):
    return [
        finished(f"{loss}{seed}", NATURAL[loss][seed], ROBUST[loss][seed],
                 loss__name=loss, seed=seed, **more)
        for loss in NATURAL for seed in range(3)
    ]  # fmt: skip


def compared(given, *columns):
    parsed = [measured.parse(text) for text in columns]
    return comparison.compare(Found(given, []), parsed)


def test_means_and_deviations():
    grid = group_tables.summary_grid(compared(runs()))
    assert grid.headings == ["loss.name", "seeds", "natural, %", "pgd5 at 0.12, %"]
    mean, deviation = (
        100 * np.mean(NATURAL["ikl"]),
        100 * np.std(NATURAL["ikl"], ddof=1),
    )
    assert grid.rows[1][:3] == ["ikl", "3", f"{mean:.2f} ± {deviation:.2f}"]
    assert grid.rows[0] == ["kl", "3", "91.00 ± 1.00", "51.00 ± 1.00"]


def test_differences_from_a_baseline():
    made = compared(runs())
    natural, robust = group_tables.difference_grid(made, 0).rows
    assert natural[:4] == ["ikl", "natural", "3", "+4.00"]
    assert natural[5:7] == ["0.25", "0.25"]
    low, high = map(float, natural[4].split(" to "))
    assert low < 0 < 4 < high
    assert robust[:4] == ["ikl", "pgd5 at 0.12", "3", "+4.00"]
    notes = " ".join(group_tables.page(made, 0).notes)
    assert (
        "of 3 pairs it cannot be below 2/2^3 = 0.25, so it cannot reach 0.05" in notes
    )
    assert "No p is corrected for the 2 comparisons" in notes


def test_different_seeds_are_said_and_pairs_counted():
    made = compared(runs()[1:])
    notes = " ".join(made.notes)
    assert "different seeds (loss.name=kl: 1, 2; loss.name=ikl: 0, 1, 2)" in notes
    assert [row[2] for row in group_tables.difference_grid(made, 0).rows] == ["2", "2"]


def test_seeds_of_two_kinds_are_in_order():
    """Of a damaged config the seed may be a text."""
    odd = finished("kl3", 0.9, 0.5, loss__name="kl", seed=2)
    damaged = odd._replace(fields={**(odd.fields or {}), "seed": "two"})
    notes = " ".join(compared([*runs(), damaged]).notes)
    assert "different seeds (loss.name=kl: 0, 1, 2, two; loss" in notes


def test_numbers_of_fewer_examples_are_columns_of_their_own():
    few = measure("x", {}) | {
        "epsilon": 0.12, "norm": "linf", "relative_step_size": 0.5, "num_examples": 64,
        "robust_accuracy": {"pgd5": 0.25},
    }  # fmt: skip
    del few["measure"], few["found"]
    grid = group_tables.summary_grid(compared([*runs(records=[few])[:1], *runs()[1:]]))
    assert sorted(grid.headings[3:]) == ["pgd5 at 0.12 (of 64), %", "pgd5 at 0.12, %"]
    place = grid.headings.index("pgd5 at 0.12 (of 64), %")
    assert [row[place] for row in grid.rows] == ["25.00 (1 of 3)", "–"]
    assert grid.rows[0][grid.headings.index("pgd5 at 0.12, %")] == "51.00 ± 1.00"


def test_a_natural_accuracy_of_fewer_examples_is_said():
    given = runs()
    given[0] = given[0]._replace(result={**given[0].result, "num_examples": 100})
    made = compared(given)
    assert any("different numbers of examples: 100, 360" in note for note in made.notes)


def test_columns_of_measures():
    ece = [measure("calibration", {"ece": {"mass": 0.01 * i}}) for i in range(1, 4)]
    given = [
        run._replace(records=[record])
        for run, record in zip(runs()[:3], ece, strict=True)
    ]
    made = compared([*given, *runs()[3:]], "calibration.ece.mass", "seconds")
    kl, ikl = group_tables.summary_grid(made).rows
    assert kl[-2:] == ["7.3 ± 0", "0.02 ± 0.01"] or kl[-2:] == [
        "0.02 ± 0.01",
        "7.3 ± 0",
    ]
    assert "–" in ikl
    assert "ikl0 has no calibration.ece.mass" in made.notes
    with pytest.raises(UserError, match="--columns=calibration.nll: no run has it"):
        compared(runs(), "calibration.nll")


def test_one_of_several_records_must_be_chosen():
    records = [
        measure("ood", {"auroc": 0.5 + i}, against=name) for i, name in enumerate("ab")
    ]
    given = [runs()[0]._replace(records=records)]
    with pytest.raises(
        UserError, match="has 2 records with it; choose by @against=a or b"
    ):
        compared(given, "ood.auroc")
    (row,) = group_tables.summary_grid(compared(given, "ood.auroc@against=b")).rows
    assert row[-1] == "1.5"
    with pytest.raises(UserError, match="must name a number, got 'text'"):
        compared([given[0]._replace(records=[measure("x", {"a": "text"})])], "x.a")


@pytest.mark.parametrize("text", ["", "calibration.", "a.b@c"])
def test_no_column(text):
    with pytest.raises(UserError, match="--columns must be MEASURE.NUMBER"):
        measured.parse(text)


def test_nan_is_said_and_counted_in_no_mean():
    records = [
        measure("margins", {"mean": float("nan") if i == 1 else 1.0 * i})
        for i in range(3)
    ]
    given = [
        run._replace(records=[r]) for run, r in zip(runs()[:3], records, strict=True)
    ]
    made = compared(given, "margins.mean")
    (row,) = group_tables.summary_grid(made).rows
    assert row[-1] == "1 ± 1.414 (2 of 3)"
    assert any(
        "is not a finite number in base with seed 1," in note for note in made.notes
    )


def test_records_of_other_weights_are_said_and_left_out():
    other = measure("x", {}) | {"weights": "best", "step": 22, "weights_checksum": "b"}
    made = compared([*runs(records=[other])[:1], *runs()[1:]])
    assert (
        "kl0 has evaluations of other weights or data, which --each shows" in made.notes
    )


def test_all_numbers_as_csv():
    made = compared(runs())
    text = formats.csv_text(Page([group_tables.long_grid(made, 0)]))
    lines = list(csv.DictReader(io.StringIO(text)))
    line = next(x for x in lines if (x["loss.name"], x["metric"]) == ("ikl", "natural"))
    assert float(line["mean"]) == np.mean(NATURAL["ikl"])
    assert float(line["deviation"]) == np.std(NATURAL["ikl"], ddof=1)
    assert float(line["difference_mean"]) == pytest.approx(0.04)
    assert float(line["p_sign_flip"]) == 0.25
    base = next(x for x in lines if (x["loss.name"], x["metric"]) == ("kl", "natural"))
    assert base["difference_mean"] == base["p_t"] == ""


def test_names_of_any_kind_harm_no_format():
    grid = formats.Grid(["a|b", "50 %"], [["x_y & <b>|`", "1 ± 2\nand"]])
    page = Page([grid], ["note_1"])
    assert r"| x\_y & &lt;b&gt;\|\` | 1 ± 2 and |" in formats.markdown(page)
    assert r"x\_y \& \textless{}b\textgreater{}|` & 1 $\pm$ 2 and \\" in formats.latex(
        page
    )
    assert "% note_1" in formats.latex(page)
    assert list(csv.reader(io.StringIO(formats.csv_text(page))))[1] == [
        "x_y & <b>|`",
        "1 ± 2 and",
    ]
    assert re.search("note_1", formats.table_text(page))


def test_a_table_of_rows_has_the_other_formats_too():
    run = runs()[0]
    page = Page([tables.table({"kl0": run.result})])
    assert "| kl0 | digits (test) | 44 | 7 | 90.0% | 50.0% |" in formats.markdown(page)


def test_lines_of_a_frontier_join_what_differs_in_a_number():
    given = [
        finished(f"{loss}{s}", 0.9, 0.5, loss__name=loss, loss__strength=s, seed=seed)
        for loss in ("kl", "ikl") for s in (4.0, 1.0, 12.0) for seed in range(2)
    ]  # fmt: skip
    found = frontier.lines(compared(given))
    assert [(name, marks) for name, _, marks in found] == [
        ("loss.name=kl", ["1", "4", "12"]), ("loss.name=ikl", ["1", "4", "12"])
    ]  # fmt: skip
    alone = frontier.lines(compared(runs()))
    assert [name for name, *_ in alone] == ["loss.name=kl", "loss.name=ikl"]


def test_the_picture_of_a_frontier(tmp_path):
    path = tmp_path / "frontier.png"
    frontier.save(path, compared(runs()))
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match=r"--plot must end in .png, .pdf, .svg, got"):
        frontier.save(tmp_path / "frontier.jpg", compared(runs()))
    natural = [
        run._replace(result={**run.result, "robust_accuracy": {}}) for run in runs()
    ]
    with pytest.raises(UserError, match="--plot needs runs with robust accuracy"):
        frontier.save(path, compared(natural))
