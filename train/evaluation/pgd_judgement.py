"""A judgement by PGD, or of natural accuracy alone."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from train.base.errors import UserError
from train.evaluation.judgement import Judgement, Kind, Options
from train.evaluation.measures import measured
from train.evaluation.pgd import (
    Evaluator,
    PgdAttack,
    attack_arguments,
    robust_accuracy,
)
from train.evaluation.predictions import Predictions
from train.evaluation.target import Target
from train.recipes.attack import check_epsilon


def judge(target: Target, options: Options, console: Console) -> Iterator[Judgement]:
    """Natural accuracy, and robust accuracy unless there are 0 restarts."""
    config, changed = target.config, options.given()
    seed = changed.pop("seed", config.seed)
    attack = dataclasses.replace(PgdAttack.of(config), **changed)
    _check(attack, options.given(), target)
    evaluator = Evaluator(
        target.model, target.data.test, attack, target.mesh,
        num_classes=target.data.num_classes,
        batch_size=config.evaluation.batch_size, seed=seed,
    )  # fmt: skip
    predictions = evaluator(target.weights, options.num_examples, keep_logits=True)
    count = len(predictions.labels)
    made = attack_arguments(attack, seed)
    name = f"{attack.name} at {attack.epsilon:g}" if attack.restarts else "natural"
    yield Judgement(
        f"{name}, {target.name}, {target.described_part(count)}",
        {**made, **target.arguments(count)},
        {
            **target.description(predictions.labels),
            **measured(predictions, target.data, config),
            "robust_accuracy": robust_accuracy(predictions, attack),
        },
        per_example(predictions),
    )


def _check(attack: PgdAttack, given: dict[str, Any], target: Target) -> None:
    """Raises `UserError` for options that an evaluation without attack ignores."""
    if attack.restarts:
        check_epsilon("epsilon", attack.norm, attack.epsilon, target.data.image_shape)
    elif ignored := [f"--{name}" for name in given if name != "restarts"]:
        raise UserError(
            f"{' and '.join(ignored)} would have no effect: with restarts=0 no attack "
            "is made; --restarts=1 makes one"
        )


def per_example(predictions: Predictions) -> dict[str, Any]:
    """The arrays of a per-example file."""
    found = {
        "index": predictions.indices,
        "label": predictions.labels,
        "predicted": predictions.predicted,
        "resisted": predictions.resisted,
        "robust": predictions.robust,
        "logits": predictions.logits,
    }
    return {name: array for name, array in found.items() if array is not None}


KIND = Kind(
    ("norm", "epsilon", "steps", "restarts", "relative_step_size", "seed"), judge
)
