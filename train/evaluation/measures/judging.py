"""Judges a target by measures, which share one pass, and checks what is asked for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from ikl_jax import checks
from train.base import contents
from train.base.errors import UserError, explained
from train.evaluation.judgement import Judgement, Options
from train.evaluation.measures import registry
from train.evaluation.measures.context import Context
from train.evaluation.measures.measure import Finding, Measure, Prepared
from train.evaluation.target import Target, exif_rotations


def named(names: str) -> list[Measure]:
    """The measures that `--measure` names, with commas between them.

    Raises:
      UserError: one is unknown.
    """
    found = []
    for name in dict.fromkeys(names.split(",")):
        with explained():
            checks.one_of("measure", name.strip(), registry.MEASURES)
        found.append(registry.MEASURES[name.strip()])
    return found


def values(measures: Sequence[Measure], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the measures' own options, with defaults where not given.

    Args:
      measures: that are asked for.
      given: values of flags by name.

    Raises:
      UserError: a value cannot be used, or a required one is missing.
    """
    found: dict[str, Any] = {}
    for measure in measures:
        for option in measure.options:
            value = given.get(option.name, option.default)
            if option.required and value in (None, ""):
                raise UserError(f"--measure={measure.name} needs --{option.name}")
            if option.name in given:
                contents.check(f"--{option.name}", value, option.kind)
                with explained():
                    option.check(value)
            found[option.name] = value
    return found


def judge(
    measures: Sequence[Measure],
    target: Target,
    options: Options,
    values: Mapping[str, Any],
    console: Console,
) -> Iterator[Judgement]:
    """A judgement of each measure; what they need is checked before the first begins.

    Raises:
      UserError: the model, the data or an option do not fit a measure.
    """
    features = any(measure.needs_features for measure in measures)
    context = Context(target, options, values, console, features=features)
    prepared = [(measure, measure.prepare(context)) for measure in measures]
    for measure, ready in prepared:
        judgement = _without_results(measure, ready, context)
        yield _with_results(judgement, ready.find(judgement), context)


def _without_results(measure: Measure, ready: Prepared, context: Context) -> Judgement:
    target, count = context.target, context.count
    part = target.described_part(count)
    return Judgement(
        f"{measure.name}{ready.title}, {target.name}, {part}",
        {**target.arguments(count), "measure": measure.name, **ready.arguments},
        {}, {},
    )  # fmt: skip


def _with_results(
    judgement: Judgement, finding: Finding, context: Context
) -> Judgement:
    outputs = context.outputs
    correct = outputs.predicted == outputs.labels
    return judgement.extended(
        {
            **context.target.description(outputs.labels),
            **exif_rotations(context.target.data),
            "natural_accuracy": float(correct.mean()),
            "robust_accuracy": {},
            "found": finding.found,
        },
        {
            "index": outputs.indices,
            "label": outputs.labels,
            "predicted": outputs.predicted,
            "logits": outputs.logits,
            **finding.arrays,
        },
    )
