"""Corruptions: accuracy on images with noise, blur, weather and digital damage."""

from typing import Any

import numpy as np

from train.base.errors import UserError
from train.data.corruptions import images as corrupted_images
from train.data.corruptions.corrupted import COMMON
from train.data.corruptions.corruption import SEVERITIES
from train.data.corruptions.images import CorruptedImages
from train.evaluation.judgement import Judgement
from train.evaluation.measures.context import Context
from train.evaluation.measures.corruptions import baselines, scores
from train.evaluation.measures.corruptions.journalled import verdicts
from train.evaluation.measures.measure import Finding, Measure, Option, Prepared


def _severities(text: str) -> list[int]:
    """The severities that `--severities` names, in ascending order."""
    given = [part.strip() for part in text.split(",")]
    allowed = {str(severity): severity for severity in SEVERITIES}
    for part in given:
        if part not in allowed:
            raise UserError(
                "--severities must be numbers from 1 to 5 with commas between, got "
                f"{text!r}"
            )
    return sorted({allowed[part] for part in given})


def _check_severities(text: str) -> None:
    _severities(text)


def _check_corruptions(text: str) -> None:
    corrupted_images.named(text)


CORRUPTED = Option(
    "corruptions", str, corrupted_images.COMMON_ONES,
    "common (fifteen), all (four more), or names with commas between.",
    _check_corruptions,
)  # fmt: skip
SEVERITY = Option(
    "severities", str, "1,2,3,4,5", "Severities with commas between.",
    _check_severities,
)  # fmt: skip
IMAGES = Option(
    "corrupted_images", str, corrupted_images.GENERATED,
    "generated, or published ones: cifar_c:DIR (CIFAR-10-C, CIFAR-100-C) or folder:DIR "
    "(ImageNet-C).",
)  # fmt: skip
BASELINE = Option(
    "baseline", str, None,
    "By whose errors mCE divides: the workdir of another run with this measure, a JSON "
    "file, or alexnet (ImageNet-C). Default: no mCE.",
)  # fmt: skip


def _prepare(context: Context) -> Prepared:
    target, values = context.target, context.values
    asked, severities = values["corruptions"], _severities(values["severities"])
    seed = context.options.seed or 0
    named = corrupted_images.named(asked)
    images = corrupted_images.opened(
        values["corrupted_images"], target.data, target.config.data, named, severities,
        seed,
    )  # fmt: skip
    names, notes = corrupted_images.possible(named, asked, images, target.data)
    if context.options.seed is not None and "seed" not in images.identity:
        raise UserError(
            "--seed would have no effect: --corrupted_images names published images"
        )
    arguments: dict[str, Any] = {
        "corruptions": names, "severities": severities,
        "corrupted_images": images.identity,
    }  # fmt: skip
    if "seed" in images.identity:
        arguments["seed"] = seed
    baseline = None
    if text := values["baseline"]:
        alike = {
            **target.arguments(context.count), **arguments, "measure": MEASURE_NAME
        }  # fmt: skip
        baseline = baselines.opened(
            text, names, severities, alike, target.data.num_classes
        )
        arguments["baseline"] = baseline._asdict()

    def find(judgement: Judgement) -> Finding:
        correct = verdicts(context, images, names, severities, judgement.arguments)
        return _finding(context, images, correct, arguments, baseline, notes)

    return Prepared(arguments, find)


def _finding(
    context: Context, images: CorruptedImages, correct: np.ndarray,
    arguments: dict[str, Any], baseline: scores.Baseline | None, notes: list[str],
) -> Finding:  # fmt: skip
    names, severities = arguments["corruptions"], arguments["severities"]
    outputs = context.outputs
    natural = outputs.predicted == outputs.labels
    averaged = [name for name in names if name in COMMON] or names
    numbers = scores.found(correct, natural, names, averaged, baseline)
    shown = np.zeros(1, np.int64)
    examples = [images.split(name, severities[-1]).take(shown) for name in names]
    return Finding(
        {**numbers, **({"notes": notes} if notes else {})},
        {
            "corruptions": np.array(names),
            "severities": np.array(severities),
            "corrupted_correct": correct,
            "example": context.target.data.test.take(shown)["image"][0],
            "example_corrupted": np.stack([each["image"][0] for each in examples]),
        },
    )


MEASURE_NAME = "corruptions"
CORRUPTIONS = Measure(
    MEASURE_NAME, _prepare, (CORRUPTED, SEVERITY, IMAGES, BASELINE), ("seed",)
)
