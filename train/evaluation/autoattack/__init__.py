"""A judgement by AutoAttack, which goes on where it was stopped.

Where several processes work on it, each attacks its share of the examples on its own
devices, and the first one puts together what their journals hold.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from rich.console import Console

from ikl_jax.attacks.ensemble.passes import Record
from ikl_jax.attacks.ensemble.result import Result
from train.base.errors import explained
from train.devices import processes
from train.evaluation import shares
from train.evaluation.autoattack import attacked, distances, verdicts
from train.evaluation.autoattack.attacked import Attacked
from train.evaluation.autoattack.report import Report
from train.evaluation.journals import Journals
from train.evaluation.judgement import Judgement, Kind, Options
from train.evaluation.outputs import OutputsPass, joined
from train.evaluation.predictions import Predictions
from train.evaluation.summaries import summarized
from train.evaluation.target import Target, exif_rotations


def judge(evaluated: Target, options: Options, console: Console) -> Iterator[Judgement]:
    """Robust accuracy after each attack, and then, if asked, the distances.

    Journals in the workdir hold what is done already, and stay there. Of several
    processes only the first one has results.
    """
    with explained():
        asked = attacked.of_target(evaluated, options)
        stages, fingerprint = asked.stages, asked.fingerprint
    judgement = _without_results(asked, evaluated)
    processes.agree("arguments", str(judgement.arguments))
    journals = Journals(evaluated.workdir, judgement.file_name, fingerprint)
    with contextlib.closing(journals), explained():
        journals.tell(console)
        if processes.several():
            _attack_share(asked, journals, stages, console)
            journals.collect()
        result = None
        if processes.is_main():
            result, broken_in = _whole(asked, journals, stages, console)
            judgement = judgement.extended(
                *_found(evaluated, asked, result, broken_in, stages)
            )
    judgement = judgement.extended(exif_rotations(evaluated.data), {})
    yield judgement
    if options.picture:
        nearest = distances.nearest(asked, console)
        if result is not None:
            judgement = judgement.extended(*distances.found(asked, nearest, result))
        yield judgement


def _without_results(asked: Attacked, evaluated: Target) -> Judgement:
    count = len(asked.labels)
    name = f"autoattack {asked.version_name} ({asked.norm}) at {asked.epsilon:g}"
    return Judgement(
        f"{name}, {evaluated.name}, {evaluated.described_part(count)}",
        {
            "attack": "autoattack",
            "version": asked.version_name,
            "norm": asked.norm,
            "epsilon": float(asked.epsilon),
            "seed": asked.seed,
            **evaluated.arguments(count),
        },
        {}, {},
    )  # fmt: skip


def _attack_share(
    asked: Attacked, journals: Journals, stages: Sequence[str], console: Console
) -> None:
    """Attacks this process's share of what no journal holds, and journals it."""
    records = [verdicts.record_of(part) for part in journals.parts]
    passes = processes.from_main(verdicts.resisted(records, len(asked.labels)))
    left = shares.unfinished(passes, len(stages))
    rows = shares.of_this_process(left)
    console.print(
        f"{jax.process_count()} processes attack {len(left)} examples, this one "
        f"{len(rows)} of them"
    )
    if not len(rows):
        return

    def keep(record: Record) -> None:
        journals.add(record._replace(rows=rows[record.rows])._asdict())

    earlier = verdicts.as_records(passes[rows], asked.x.shape[1:])
    report = Report(keep, [], len(rows), stages, console)
    asked.part(rows).result(earlier, report)


def _whole(
    asked: Attacked, journals: Journals, stages: Sequence[str], console: Console
) -> tuple[Result, np.ndarray]:
    """The result, and the number of the pass that broke each example (-1: none).

    Attacks what the journals do not hold: of one process's evaluation all that is left.
    """
    records = [verdicts.record_of(part) for part in journals.parts]
    keep = lambda record: journals.add(record._asdict())
    report = Report(keep, records, len(asked.labels), stages, console)
    return asked.result(records, report), report.broken_in


def _found(
    evaluated: Target,
    asked: Attacked,
    result: Result,
    broken_in: np.ndarray,
    stages: Sequence[str],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The results of a judgement, and its arrays."""
    predictions = _predictions(evaluated, len(asked.labels))
    return {
        **evaluated.description(asked.labels),
        **summarized(predictions, evaluated.data, evaluated.config),
        **_results(result),
    }, {
        "index": predictions.indices,
        "label": predictions.labels,
        "predicted": predictions.predicted,
        "logits": np.asarray(predictions.logits),
        **_robust_after(result, broken_in, stages),
    }


def _predictions(evaluated: Target, count: int) -> Predictions:
    outputs = joined(
        OutputsPass(
            evaluated.model, evaluated.data.test, evaluated.mesh,
            num_classes=evaluated.data.num_classes,
            batch_size=evaluated.config.evaluation.batch_size,
        )(evaluated.weights, count)
    )  # fmt: skip
    return Predictions(
        outputs.indices, outputs.labels, outputs.predicted, logits=outputs.logits
    )


def _results(result: Result) -> dict[str, Any]:
    """The fields of a record that AutoAttack itself finds."""
    clean, *stages = result.stages
    norm = "" if result.norm == "linf" else f"_{result.norm}"
    return {
        "natural_accuracy": clean.robust_accuracy,
        "robust_accuracy": {
            f"autoattack_{result.version}{norm}": result.robust_accuracy
        },
        "stages": [
            {
                "attack": stage.name,
                "robust_accuracy": stage.robust_accuracy,
                "seconds": round(stage.seconds, 2),
            }
            for stage in stages
        ],
        "seconds": round(result.seconds, 2),
        "notes": list(result.notes),
        "key": list(result.key),
        "versions": result.versions,
    }


def _robust_after(
    result: Result, broken_in: np.ndarray, stages: Sequence[str]
) -> dict[str, np.ndarray]:
    """Whether each example is robust at the end, and after each stage `[S, N]`."""
    names = list(dict.fromkeys(stages))
    stage_of = np.array([names.index(stage) for stage in stages])
    broken = np.where(broken_in < 0, len(names), stage_of[broken_in])
    # Misclassified before any attack.
    broken = np.where((broken_in < 0) & ~result.robust, -1, broken)
    return {
        "robust": result.robust,
        "stages": np.array(names),
        "robust_after": broken > np.arange(len(names))[:, None],
    }


KIND = Kind(("norm", "epsilon", "version", "seed", "picture"), judge)
