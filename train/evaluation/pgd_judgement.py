"""A judgement by PGD, or of natural accuracy alone."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.console import Console

from train.devices import processes
from train.evaluation import asked_attack, shares
from train.evaluation.batch_attack import PgdAttack, attack_arguments
from train.evaluation.journals import Journals
from train.evaluation.judgement import Judgement, Kind, Options
from train.evaluation.pgd import Evaluator, robust_accuracy
from train.evaluation.predictions import Predictions, in_order, joined
from train.evaluation.summaries import summarized
from train.evaluation.target import Target, exif_rotations
from train.recipes.state import Weights


def judge(target: Target, options: Options, console: Console) -> Iterator[Judgement]:
    """Natural accuracy, and robust accuracy unless there are 0 restarts."""
    attack = asked_attack.of_target(target, options)
    seed = asked_attack.seed(target, options)
    evaluator = Evaluator(
        target.model, target.data.test, attack, target.mesh,
        num_classes=target.data.num_classes,
        batch_size=target.config.evaluation.batch_size, seed=seed,
    )  # fmt: skip
    whole = len(target.data.test)
    count = min(options.num_examples or whole, whole)
    name = f"{attack.name} at {attack.epsilon:g}" if attack.restarts else "natural"
    judgement = Judgement(
        f"{name}, {target.name}, {target.described_part(count)}",
        {**attack_arguments(attack, seed), **target.arguments(count)},
        {}, {},
    )  # fmt: skip
    processes.agree("arguments", str(judgement.arguments))
    if not attack.restarts and not processes.several():  # done in no time
        predictions = evaluator(target.weights, count, keep_logits=True)
        yield _judged(judgement, predictions, attack, target)
        return
    journals = Journals(target.workdir, judgement.file_name, judgement.digest)
    with contextlib.closing(journals):
        predictions = _of_all(evaluator, target.weights, count, journals, console)
        yield _judged(judgement, predictions, attack, target)
        journals.delete()  # its record is written


def _of_all(
    evaluator: Evaluator,
    weights: Weights,
    count: int,
    journals: Journals,
    console: Console,
) -> Predictions | None:
    """The predictions for all examples; None on other processes than the first one.

    Every process makes those of its share of what no journal holds.
    """
    journals.tell(console)
    found = [Predictions(**part) for part in journals.parts]
    left = np.ones(count, bool)
    for part in found:
        left[part.indices] = False
    left = np.flatnonzero(processes.from_main(left))
    made = []
    for part in evaluator.parts(weights, shares.of_this_process(left)):
        journals.add({name: a for name, a in part._asdict().items() if a is not None})
        made.append(part)
    if processes.several():
        journals.collect()
        found, made = [Predictions(**part) for part in journals.parts], []
    return in_order(joined(found + made)) if processes.is_main() else None


def _judged(
    judgement: Judgement,
    predictions: Predictions | None,
    attack: PgdAttack,
    target: Target,
) -> Judgement:
    """The judgement with its results; without them where there are no predictions."""
    rotations = exif_rotations(target.data)  # by all processes together
    if predictions is None:
        return judgement
    return judgement.extended(
        {
            **target.description(predictions.labels),
            **rotations,
            **summarized(predictions, target.data, target.config),
            "robust_accuracy": robust_accuracy(predictions, attack),
        },
        per_example(predictions),
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
