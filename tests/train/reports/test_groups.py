"""Which runs are one group, and how groups are told apart and chosen."""

import pytest

from tests.support.results import finished
from train.base.errors import UserError
from train.reports import groups
from train.reports.groups import group, labels


def four(**fields):
    """KL and GKL, two seeds of each."""
    return [
        finished(
            f"{loss}{seed}",
            0.9,
            0.5,
            loss__name=loss,
            loss__gamma=gamma,
            seed=seed,
            **fields,
        )
        for seed in (0, 1)
        for loss, gamma in (("kl", 1.0), ("gkl", 0.5))
    ]


def test_configs_decide_and_not_the_names_of_folders():
    first, second = group(four()).groups
    assert [run.name for run in first.runs.values()] == ["kl0", "kl1"]
    assert [run.name for run in second.runs.values()] == ["gkl0", "gkl1"]
    assert list(first.runs) == [(0,), (1,)]


@pytest.mark.parametrize(
    ("changed", "count"),
    [
        ({"log_every": 7}, 1), ({"name": "other"}, 1), ({"mesh": (1, 1)}, 1),
        ({"epochs": 7}, 2), ({"evaluation__steps": 7}, 2), ({"data__label_seed": 1}, 2),
    ],
)  # fmt: skip
def test_what_no_result_depends_on_divides_no_group(changed, count):
    runs = [finished("a", 0.9, 0.5, seed=0), finished("b", 0.9, 0.5, seed=1, **changed)]
    assert len(group(runs).groups) == count


@pytest.mark.parametrize(
    "changed", [{"data_fingerprint": "other"}, {"evaluated_on": "validation"}]
)
def test_results_on_other_data_are_no_seeds_of_one_group(changed):
    runs = [finished("a", 0.9, 0.5), finished("b", 0.9, 0.5, seed=1, of_result=changed)]
    found = group(runs).groups
    assert len(found) == 2
    assert labels(found).fields == [*changed]


def test_a_seed_counts_once():
    runs = [finished("a", 0.9, 0.5), finished("copy_of_a", 0.9, 0.5)]
    found = group(runs)
    assert [list(each.runs) for each in found.groups] == [[(0,)]]
    assert found.notes == [
        "copy_of_a has the settings and the seed of a, and is left out"
    ]


def test_other_fields_may_be_taken_over():
    runs = [finished(f"{i}", 0.9, 0.5, seed=i, data__label_seed=i) for i in range(3)]
    assert len(group(runs).groups) == 3
    (found,) = group(runs, ("seed", "data.label_seed")).groups
    assert list(found.runs) == [(0, 0), (1, 1), (2, 2)]
    with pytest.raises(UserError, match="--over=sed: a config has no field sed"):
        group(runs, ("sed",))


def test_a_config_without_the_seed_is_named():
    run = finished("a", 0.9, 0.5)
    fields = dict(run.fields or {})
    del fields["seed"]
    damaged = run._replace(fields=fields)
    with pytest.raises(UserError, match="config.json lacks the field seed"):
        group([run, damaged])


def test_fields_that_hold_lists_may_be_taken_over():
    runs = [finished("a", 0.9, 0.5, mesh=[1, 1]), finished("b", 0.9, 0.5, mesh=[2, 1])]
    (found,) = group(runs, over=("mesh",)).groups
    assert list(found.runs) == [("[1, 1]",), ("[2, 1]",)]


def test_as_few_fields_as_distinguish():
    assert labels(group(four()).groups) == (["loss.name"], ["loss.gamma"])
    both = four() + four(loss__strength=7.0)
    assert labels(group(both).groups) == (
        ["loss.name", "loss.strength"],
        ["loss.gamma"],
    )
    assert labels(group(four()[::2]).groups) == ([], [])


@pytest.mark.parametrize(
    "text", ["loss.name=gkl", "loss=gkl", "name=gkl", "loss.gamma=0.50", "runs/gkl1/"]
)
def test_a_baseline_in_several_forms(text):
    assert groups.chosen(group(four()).groups, text) == 1


def test_a_short_name_is_of_a_field_that_differs():
    """`attack.loss` ends in the same word as what `loss=kl` means."""
    assert groups.chosen(group(four(attack__loss="kl")).groups, "loss=kl") == 0


def test_a_baseline_that_names_none_or_several():
    found = group(four() + four(loss__strength=7.0)).groups
    with pytest.raises(UserError, match="names no group; choose one of: loss.name=kl"):
        groups.chosen(found, "loss=dkl")
    with pytest.raises(
        UserError,
        match="names 2 groups; choose one of: loss.name=kl,loss.strength=1; loss.name=kl,",
    ):
        groups.chosen(found, "loss=kl")
    assert groups.chosen(found, "loss=kl,strength=7") == 2
