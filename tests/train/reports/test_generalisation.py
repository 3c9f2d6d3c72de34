"""Margins against gaps: which records are compared, and what the tables say."""

import copy

import matplotlib.pyplot as plt
import pytest
from scipy import stats

from train.base import terminal
from train.base.errors import UserError
from train.reports import gap_picture, generalisation
from train.reports.folders import RunFiles

RUNS = ("a", "b", "c", "d")
MEANS = (1.0, 3.0, 2.0, 4.0)
NATURAL = (0.05, 0.03, 0.02, 0.01)
ROBUST = (0.01, 0.02, 0.03, 0.04)


def record(number=0, **changes):
    mean, natural, robust = MEANS[number], 0.8, 0.5
    return {
        "measure": "margins", "dataset": "digits", "data_fingerprint": "x",
        "evaluated_on": "test", "num_examples": 100, "attack": "pgd", "norm": "linf",
        "epsilon": 0.1, "steps": 10, "step": 5, "weights": "last",
        "natural_accuracy": 0.8, "robust_accuracy": {},
        "found": {
            "test": {"natural_accuracy": natural, "robust_accuracy": robust},
            "training": {"natural_accuracy": natural + NATURAL[number],
                         "robust_accuracy": robust + ROBUST[number]},
            "gap": {"natural": NATURAL[number], "robust": ROBUST[number]},
            "means": {
                "logit_training_natural": mean, "logit_training_adversarial": -mean,
                "logit_test_natural": 2 * mean, "logit_test_adversarial": -2 * mean,
                "distance_training_natural": mean / 10,
            },
        },
        **changes,
    }  # fmt: skip


def records():
    return {run: [record(number)] for number, run in enumerate(RUNS)}


def points(given=None):
    given = given or records()
    fields = {"loss.name": "kl", "seed": 0}
    runs = [RunFiles(f"runs/{n}", None, given[n], fields) for n in given]
    return generalisation.points(runs)


def text(table):
    console = terminal.console(width=200)
    with console.capture() as caught:
        console.print(table)
    return caught.get()


def test_each_gap_with_the_margins_that_belong_to_it():
    found = generalisation.relations(points(), "training")
    assert [(each.kind, each.gap) for each in found] == [
        ("logit", "natural"), ("logit", "robust"),
        ("distance", "natural"), ("distance", "robust"),
    ]  # fmt: skip
    natural, robust, *distances = found
    assert natural.margins == list(MEANS)
    assert natural.gaps == list(NATURAL)
    assert robust.margins == [-mean for mean in MEANS]
    assert robust.gaps == list(ROBUST)
    assert all(each.margins == [mean / 10 for mean in MEANS] for each in distances)
    for each in found:
        expected = stats.spearmanr(each.margins, each.gaps).statistic
        assert each.correlation.coefficient == pytest.approx(expected)
    assert natural.correlation.coefficient < 0 > robust.correlation.coefficient


def test_the_margins_of_the_test_part():
    found = generalisation.relations(points(), "test")
    assert {each.kind for each in found} == {"logit"}
    assert found[0].margins == [2 * mean for mean in MEANS]


def test_records_that_agree_and_have_most_examples_are_taken():
    given = records()
    for number, run in enumerate(RUNS):
        given[run] += [
            record(number, num_examples=500, step=3),
            record(number, num_examples=500, step=9),
            {"attack": "pgd", "robust_accuracy": {"pgd20": 0.5}},
        ]
    given["a"].append(record(0, num_examples=1000))
    for point in points(given):
        assert (point.record["num_examples"], point.record["step"]) == (500, 9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda given: given.pop("a") and given.pop("b"), "3 runs or more, got 2"),
        (lambda given: given["b"].clear(),
         "runs/b has no record of margins: python -m train.evaluate --workdir=runs/b"),
        (lambda given: given["c"][0].update(epsilon=0.2),
         "margins of runs/a and runs/c cannot be compared: epsilon is 0.1 and 0.2"),
        (lambda given: given["c"][0].pop("found"), "c: a record of margins: found must"),
        (lambda given: given["c"][0]["found"].pop("gap"), "c: a record of margins: found lacks the field gap"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(change, message):
    given = copy.deepcopy(records())
    change(given)
    with pytest.raises(UserError, match=message):
        points(given)


def test_the_table_has_accuracies_gaps_and_margins():
    shown = text(generalisation.runs_table(points(), "training"))
    row = next(line for line in shown.splitlines() if line.startswith("│ b"))
    cells = [cell.strip() for cell in row.split("│")[2:-1]]
    assert cells == [
        "83.00%", "80.00%", "3.00%", "52.00%", "50.00%", "2.00%", "3", "-3", "0.3",
    ]  # fmt: skip


def test_runs_that_differ_in_the_seed_alone_share_a_setting():
    given = [("kl", 6.0, 0), ("kl", 6.0, 1), ("ikl", 4.0, 0)]
    runs = [
        RunFiles(f"{loss}_{seed}", None, [record(number)],
                 {"loss.name": loss, "loss.strength": strength, "seed": seed})
        for number, (loss, strength, seed) in enumerate(given)
    ]  # fmt: skip
    runs.append(RunFiles("file", None, [record(3)], None))
    first, second, third, file = (p.setting for p in generalisation.points(runs))
    assert first == second == "loss.name=kl"
    assert third == "loss.name=ikl"
    assert file not in (first, third)


def test_what_is_to_be_kept_in_mind():
    found = points()
    said = generalisation.cautions(found, generalisation.relations(found, "training"))
    assert "negative" in said[0]
    assert "4 runs of 1 setting:" in said[1]
    assert "Of 4 coefficients" in said[2]


def test_a_picture_has_a_row_for_each_gap_and_a_column_for_each_kind(tmp_path):
    names = ["kl $x$", "_hidden", "kl $x$", "<b>"]
    found = [
        point._replace(setting=name)
        for point, name in zip(points(), names, strict=True)
    ]
    made = generalisation.relations(found, "training")
    gap_picture.save(tmp_path / "both.png", found, made, "training")
    gap_picture.save(tmp_path / "one.png", found, made[:1], "training")
    both, one = (plt.imread(tmp_path / name).shape for name in ("both.png", "one.png"))
    assert both[0] > 1.5 * one[0]
    assert both[1] > 1.5 * one[1]


def test_distances_that_are_found_otherwise_are_said():
    given = records()
    alike = generalisation.points([RunFiles(n, None, given[n], {}) for n in given])
    assert not any("not found alike" in each for each in said(alike))
    given["b"] = [record(1, distance_record="autoattack")]
    mixed = generalisation.points([RunFiles(n, None, given[n], {}) for n in given])
    assert any("AutoAttack's in 1 of 4 runs" in each for each in said(mixed))


def said(found):
    return generalisation.cautions(found, generalisation.relations(found, "training"))


def test_distances_in_another_norm_are_not_compared():
    given = {run: [record(n, distance_norm="linf")] for n, run in enumerate(RUNS)}
    given["b"] = [record(1, distance_norm="l2")]
    with pytest.raises(UserError, match="distance_norm is linf and l2"):
        points(given)
