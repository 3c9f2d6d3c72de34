"""A study: what it goes on with, who has which trial, and what becomes of dead ones."""

import pytest

from tests.train.search.support import wanted
from train.base.errors import UserError
from train.base.files import lock
from train.search import space, studies


def states(study):
    return [trial.state.name for trial in study.get_trials(deepcopy=False)]


def test_a_process_has_the_trial_that_it_asked_for(tmp_path):
    asked = wanted(tmp_path, trials=2)
    study, other = studies.opened(asked), studies.opened(asked)
    with (
        studies.next_trial(study, asked) as first,
        studies.next_trial(other, asked) as second,
        studies.next_trial(study, asked) as third,
    ):
        assert (first.number, second.number, third) == (0, 1, None)
        assert first.params != second.params  # though both have the same seed
        assert states(study) == ["RUNNING", "RUNNING"]


def test_the_same_history_leads_to_the_same_values(tmp_path):
    found = []
    for name in ("a", "b"):
        asked = wanted(tmp_path / name, sampler="tpe")
        for count in (1, 2):  # the second time it is opened again
            study = studies.opened(asked)
            for _ in range(count):
                with studies.next_trial(study, asked) as trial:
                    study.tell(trial, trial.params["loss.alpha"] / 100)
        found.append([each.params for each in study.trials])
    assert found[0] == found[1]
    assert len({each["loss.alpha"] for each in found[0]}) == 3


def test_a_trial_whose_process_died_is_asked_for_again(tmp_path):
    asked = wanted(tmp_path, trials=1)
    study = studies.opened(asked)
    params = None
    for attempt in range(studies.ATTEMPTS):
        with studies.next_trial(study, asked) as trial:  # left without a word
            assert trial.user_attrs["folder"] == "0000"
            assert params is None or trial.params == params
            params = trial.params
        assert states(study) == ["FAIL"] * attempt + ["RUNNING"]
    with studies.next_trial(study, asked) as trial:
        assert trial is None  # it has died too often
    assert states(study) == ["FAIL"] * studies.ATTEMPTS
    assert [each.number for each in studies.finished(study)] == [2]


def test_a_trial_that_is_still_held_is_not_dead(tmp_path):
    asked = wanted(tmp_path, trials=1)
    study = studies.opened(asked)
    with studies.next_trial(study, asked) as trial:
        studies.requeue_dead(study, tmp_path)
        assert states(study) == ["RUNNING"]
        with (
            pytest.raises(lock.Busy),
            lock.held(tmp_path / f".trial_{trial.number:04}.lock", tmp_path),
        ):
            pass


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"space": space.read("loss.alpha=log:1..20")},
         "a study of other space: loss.alpha=log:1..40 loss.beta=1..10 there and "
         "loss.alpha=log:1..20 here"),
        ({"objectives": ("natural",)},
         "a study of other objectives: robust there and natural here"),
        ({"objectives": ("natural", "robust")}, "robust there and natural,robust here"),
        ({"batch_size": 32}, "another config: batch_size is 64 there and 32 here"),
    ],
)  # fmt: skip
def test_another_study_is_refused_with_both_named(tmp_path, changed, said):
    studies.opened(wanted(tmp_path))
    other = wanted(tmp_path, **{k: v for k, v in changed.items() if k != "batch_size"})
    other.config.batch_size = changed.get("batch_size", other.config.batch_size)
    with pytest.raises(UserError, match="delete this one") as error:
        studies.opened(other)
    assert said in str(error.value)


def test_what_changes_no_result_may_change(tmp_path):
    studies.opened(wanted(tmp_path))
    other = wanted(tmp_path, sampler="tpe", pruner="none", seed=3)
    other.config.log_every = 7
    studies.opened(other)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match=r"which holds thesis\.tex"):
        studies.opened(wanted(tmp_path))


def test_a_damaged_database_is_one_sentence(tmp_path):
    (tmp_path / studies.DATABASE).write_bytes(b"no database" * 100)
    with pytest.raises(UserError, match="cannot be read as the database of a study"):
        studies.opened(wanted(tmp_path))


def test_without_optuna_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(studies.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[tune\]'"):
        studies.require()


@pytest.mark.parametrize(("epochs", "spared"), [(4, 0), (8, 1)])
def test_a_trial_is_spared_in_the_first_fifth_of_its_epochs(tmp_path, epochs, spared):
    asked = wanted(tmp_path, trials=studies.FIRST_TRIALS + 1)
    asked.config.epochs = epochs
    study = studies.opened(asked)
    for _ in range(studies.FIRST_TRIALS):
        trial = study.ask()
        for epoch in range(1, epochs):
            trial.report(0.5, epoch)
        study.tell(trial, 0.5)
    trial, first = study.ask(), 1
    while True:
        trial.report(0.1, first)
        if trial.should_prune():
            break
        first += 1
    assert first == spared + 1
