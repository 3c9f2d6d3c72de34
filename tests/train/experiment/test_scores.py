"""Which checkpoints stay, and which one is the best."""

import jax
import jax.numpy as jnp
import pytest

from train.base.errors import UserError
from train.devices import sharding
from train.experiment import scores
from train.experiment.checkpoint import Checkpoints
from train.experiment.scores import Score

TREE = {"a": jnp.arange(6.0)}


@pytest.fixture
def tree():
    return jax.device_put(TREE, sharding.replicated(sharding.create_mesh()))


def saved(folder, tree, values, *, keep=2, measure="pgd"):
    """Checkpoints, a step each; a value of None has no score."""
    checkpoints = Checkpoints(folder, keep=keep)
    first = max(checkpoints.steps(), default=0) + 1
    for step, value in enumerate(values, first):
        score = None if value is None else Score(value, measure)
        checkpoints.save(step, tree, {"step": step}, score)
    checkpoints.wait()
    return checkpoints


@pytest.mark.parametrize(
    ("values", "kept", "best"),
    [
        ([0.1, 0.3, 0.2, 0.1, 0.0], [2, 4, 5], 2),
        ([0.1, 0.2, 0.3], [2, 3], 3),
        ([0.3, None, 0.2, None, None], [1, 4, 5], 1),
        ([0.2, 0.2, 0.2, 0.2], [1, 3, 4], 1),  # the earliest of several
        ([None, None, None], [2, 3], None),
        ([0.0], [1], 1),
    ],
)
def test_the_newest_and_the_best_stay(tmp_path, tree, values, kept, best):
    for folder in ("at once", "in two runs"):
        half = len(values) if folder == "at once" else len(values) // 2
        saved(tmp_path / folder, tree, values[:half]).close()
        checkpoints = saved(tmp_path / folder, tree, values[half:])
        assert checkpoints.steps() == kept
        assert checkpoints.best_step() == best
        newest = checkpoints.restore(tree, pytest.fail)
        assert newest.step == len(values)
        found = checkpoints.restore_best(tree, pytest.fail)
        assert (None if found is None else found.step) == best
        checkpoints.close()


def test_only_scores_of_the_newest_measure_are_compared(tmp_path, tree):
    saved(tmp_path / "run", tree, [0.9, 0.8], measure="pgd5").close()
    checkpoints = saved(tmp_path / "run", tree, [0.5, 0.4, 0.3], measure="pgd20")
    assert checkpoints.best_step() == 3
    assert checkpoints.steps() == [3, 4, 5]
    checkpoints.close()


def test_a_checkpoint_gets_its_score_later(tmp_path, tree):
    checkpoints = saved(tmp_path / "run", tree, [0.1, None])
    checkpoints.save(2, tree, {"step": "again"})
    checkpoints.wait()
    assert checkpoints.restore(tree, pytest.fail).position == {"step": 2}
    checkpoints.save(2, tree, {"step": "again"}, Score(0.4, "pgd"))
    checkpoints.save(2, tree, {"step": "a third time"}, Score(0.5, "pgd"))
    checkpoints.wait()
    assert checkpoints.best_step() == 2
    assert checkpoints.restore(tree, pytest.fail).position == {"step": 2}
    checkpoints.close()


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_score_costs_no_checkpoint(tmp_path, tree, damage):
    saved(tmp_path / "run", tree, [0.3, 0.1]).close()
    path = tmp_path / "run" / "1" / "metrics" / "metrics"
    text = path.read_text()
    assert "0.3" in text
    if damage == "gone":
        path.unlink()
    else:
        path.write_text(text[:9] if damage == "cut" else text.replace("0.3", "0.9"))
    checkpoints = Checkpoints(tmp_path / "run", keep=2, read_only=True)
    assert checkpoints.best_step() == 2
    assert checkpoints.restore(tree, pytest.fail).step == 2
    checkpoints.close()


def test_damaged_best_weights_are_not_replaced_by_others(tmp_path, tree):
    saved(tmp_path / "run", tree, [0.3, 0.1]).close()
    for path in (tmp_path / "run" / "1" / "state").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    checkpoints, said = Checkpoints(tmp_path / "run", keep=2, read_only=True), []
    with pytest.raises(UserError, match=r"checkpoint 1 in .*, the best one, cannot be"):
        checkpoints.restore_best(tree, said.append)
    assert "checkpoint 1" in said[0]
    checkpoints.close()


def test_scores_are_sealed():
    score = Score(0.25, "pgd20")
    assert scores.from_metrics(scores.to_metrics(score)) == score
    assert scores.from_metrics(scores.to_metrics(None)) is None
    for other in (None, {}, {"text": "1"}, {"text": "1", "crc32": 0}, 3):
        assert scores.from_metrics(other) is None
