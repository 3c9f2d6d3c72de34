"""The pass under every corruption, which goes on where it was stopped."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from train.base.progress import ProgressPrinter
from train.data.corruptions.images import CorruptedImages
from train.evaluation.journal import Journal
from train.evaluation.journals import SUFFIX
from train.evaluation.measures.context import Context

# Of a record's arguments, those that no verdict of a single corruption depends on.
OF_THE_WHOLE = ("corruptions", "severities", "baseline")

Pair = tuple[str, int]  # a corruption and a severity


def verdicts(
    context: Context,
    images: CorruptedImages,
    names: Sequence[str],
    severities: Sequence[int],
    arguments: Mapping[str, Any],
) -> np.ndarray:
    """`[C, S, N]`, whether the label is predicted for each example.

    A journal in the workdir keeps the verdicts of each corruption and severity as soon
    as they are there. It stays, so that a later evaluation, of more corruptions or with
    another baseline, takes them from it.

    Args:
      context: of the evaluation.
      images: the corrupted images.
      names: of the corruptions.
      severities: of each.
      arguments: of the record.
    """
    pairs = [(name, severity) for name in names for severity in severities]
    same = {field: arguments[field] for field in arguments if field not in OF_THE_WHOLE}
    content = json.dumps(same, sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    path = context.target.workdir / f"corruptions-{digest}{SUFFIX}"
    journal = Journal(path, digest)
    with contextlib.closing(journal):
        done = dict(_kept(journal))
        left = [pair for pair in pairs if pair not in done]
        if len(left) < len(pairs):
            context.console.print(
                f"going on after {len(pairs) - len(left)} of {len(pairs)} corruptions "
                f"and severities in {path}",
                highlight=False,
            )
        progress = ProgressPrinter(context.console)
        for position, (name, severity) in enumerate(left):
            correct = _correct(context, images, name, severity)
            done[name, severity] = correct
            journal.add(
                {
                    "corruption": np.array(name), "severity": np.array(severity),
                    "correct": correct,
                }
            )  # fmt: skip
            text = f"{name} {severity}: {100 * correct.mean():.2f}% correct"
            progress.update(position + 1, len(left), text)
    shape = (len(names), len(severities), context.count)
    return np.stack([done[pair] for pair in pairs]).reshape(shape)


def _kept(journal: Journal) -> Iterator[tuple[Pair, np.ndarray]]:
    for part in journal.parts:
        yield (str(part["corruption"]), int(part["severity"])), part["correct"]


def _correct(
    context: Context, images: CorruptedImages, name: str, severity: int
) -> np.ndarray:
    """`[N]`, whether the label is predicted, in the order of the split."""
    correct = np.zeros(context.count, bool)
    for outputs in context.outputs_of(images.split(name, severity), context.count):
        correct[outputs.indices] = outputs.predicted == outputs.labels
    return correct
