"""Metrics that are not finite stop a run, with a sentence that helps."""

import json

import jax.numpy as jnp
import pytest

from train.base.errors import UserError
from train.recipes.recipe import Share
from train.training import health


class SavedAt:
    """Checkpoints of which only the steps matter."""

    def __init__(self, *steps):
        self._steps = list(steps)

    def steps(self):
        return self._steps


def test_means_are_over_the_steps():
    pending = [{"loss": jnp.array(1.0)}, {"loss": jnp.array(3.0)}]
    assert health.means(pending) == {"loss": 2.0}


def test_a_share_is_taken_over_all_steps_together():
    """Those without a whole do not count; with none at all there is no metric."""
    shares = [Share(jnp.array(a), jnp.array(b)) for a, b in ((1, 4), (0, 0), (2, 2))]
    pending = [{"share": share, "loss": jnp.array(1.0)} for share in shares]
    assert health.means(pending) == {"share": 0.5, "loss": 1.0}
    kept = json.loads(json.dumps(health.fetched(pending)))  # as in a checkpoint
    assert health.means(kept) == {"share": 0.5, "loss": 1.0}
    assert health.means(pending[1:2]) == {"loss": 1.0}


def test_one_metric_that_is_not_finite_is_enough():
    health.check_finite({"loss": 1.0, "epsilon": 0.0}, 3, SavedAt())
    for value in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(UserError, match=r"at step 3 \(loss .*, epsilon 0\)"):
            health.check_finite({"loss": value, "epsilon": 0.0}, 3, SavedAt())


@pytest.mark.parametrize(
    ("steps", "message"), [((), "nothing is saved yet"), ((2, 4), "step 4 is saved")]
)
def test_the_message_says_what_is_saved(steps, message):
    with pytest.raises(
        UserError, match=f"the logits are not finite at step 5 ; {message}"
    ):
        health.stop("the logits are", {}, 5, SavedAt(*steps))
