"""What a search shows: importance, the front, the table, the picture, the best config."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from train.reports import sensitivity
from train.search import found, importance, space

SPACE = space.read("loss.alpha=log:1..100 loss.beta=0..1 loss.name={kl,ikl}")


def drawn(count):
    random = np.random.default_rng(0)
    return [
        {
            "loss.alpha": 100 ** random.uniform(),
            "loss.beta": random.uniform(),
            "loss.name": ("kl", "ikl")[random.integers(2)],
        }
        for _ in range(count)
    ]


def test_importance_is_the_share_of_the_variance_on_the_scale_that_was_drawn():
    """Half of the decades of alpha are below 10, so 1/4 and 1/12 are the variances."""
    params = drawn(50)
    values = [(each["loss.alpha"] < 10) + each["loss.beta"] for each in params]
    shares = importance.importances(SPACE, params, values)
    assert list(shares) == ["loss.alpha", "loss.beta", "loss.name"]
    assert sum(mean for mean, _ in shares.values()) == pytest.approx(1)
    assert shares["loss.alpha"][0] == pytest.approx(0.75, abs=0.1)
    assert shares["loss.beta"][0] == pytest.approx(0.25, abs=0.1)
    assert all(0 < deviation < 0.1 for _, deviation in shares.values())


def test_a_choice_may_be_what_matters():
    params = drawn(30)
    values = [float(each["loss.name"] == "ikl") for each in params]
    shares = importance.importances(SPACE, params, values)
    assert shares["loss.name"][0] > 0.95


def test_few_or_equal_trials_have_no_importance():
    assert importance.importances(SPACE, drawn(7), [*range(7)]) == {}
    assert importance.importances(SPACE, drawn(20), [0.5] * 20) == {}


def trial(folder, state="finished", **reached):
    values = {"loss.alpha": 2.0, "loss.beta": 0.25, "loss.name": "ikl"}
    epoch = {"finished": 4, "pruned": 2}.get(state)
    return {
        "folder": folder,
        "state": state,
        "values": values,
        "epoch": epoch,
        **reached,
    }


def study(*trials, objectives=("robust",), best=(), **changed):
    return {
        "objectives": list(objectives), "space": space.texts(SPACE),
        "best": list(best), "importance": {name: {} for name in objectives},
        "trials": list(trials), **changed,
    }  # fmt: skip


def test_the_front_leaves_out_what_is_no_better_anywhere():
    ended = [
        trial("a", natural=0.9, robust=0.1), trial("b", natural=0.8, robust=0.3),
        trial("c", natural=0.7, robust=0.3), trial("d", natural=0.5, robust=0.2),
        trial("e", natural=0.6, robust=0.4), trial("f", natural=0.9, robust=0.1),
    ]  # fmt: skip
    assert found.front(ended, ["natural", "robust"]) == ["a", "b", "e"]
    assert found.front(ended, ["robust"]) == ["e"]
    assert found.front([], ["robust"]) == []


def test_the_table_begins_with_the_best():
    table = found.table(
        study(
            trial("0000", "failed", error="no memory"),
            trial("0001", "pruned", robust=0.9),
            trial("0002", natural=0.8, robust=0.3),
            trial("0003", natural=0.7, robust=0.4),
            best=["0003"],
            importance={
                "robust": {"loss.alpha": [0.75, 0.1], "loss.beta": [0.25, 0.1]}
            },
        )
    )
    lines = table.splitlines()
    assert lines[0] == (
        "| trial | loss.alpha | loss.beta | loss.name | natural | robust | epoch | state |"
    )
    assert lines[2] == "| 0003 * | 2 | 0.25 | ikl | 70.0 % | 40.0 % | 4 | finished |"
    assert [line.split()[1] for line in lines[2:6]] == ["0003", "0002", "0001", "0000"]
    assert "| 0001 | 2 | 0.25 | ikl |  | 90.0 % | 2 | pruned |" in lines
    assert "| loss.alpha | 75 ± 10 % |" in lines


@pytest.mark.parametrize(
    ("across", "expected"),
    [("loss.alpha", [(2.0, 80.0)]), ("loss.name", [(1.0, 80.0)]),
     ("natural", [(50.0, 80.0)])],
)  # fmt: skip
def test_a_panel_shows_each_trial_where_it_stands(across, expected):
    figure, axis = plt.subplots()
    shown = study(
        trial("0000", natural=0.5, robust=0.8), trial("0001", "pruned", robust=0.3),
        trial("0002", "failed"), objectives=("natural", "robust"), best=["0000"],
    )  # fmt: skip
    sensitivity.draw(axis, shown, across, "robust")
    by_label = {
        each.get_label(): each.get_offsets().tolist() for each in axis.collections
    }
    assert [tuple(point) for point in by_label["finished"]] == expected
    assert ("pruned" in by_label) == (across != "natural")
    ring = axis.collections[-1].get_offsets().tolist()
    assert [tuple(point) for point in ring] == expected
    assert (axis.get_xscale() == "log") == (across == "loss.alpha")
    plt.close(figure)


def test_a_picture_of_every_kind_of_study(tmp_path):
    shown = study(trial("0000", natural=0.5, robust=0.8), best=["0000"])
    for number, objectives in enumerate((["robust"], ["natural", "robust"])):
        path = tmp_path / f"{number}.png"
        sensitivity.save(path, shown | {"objectives": objectives})
        assert path.stat().st_size > 10_000
    sensitivity.save(tmp_path / "none.png", shown | {"trials": [], "best": []})
