"""Groups of runs that differ in the seed alone, with the numbers of each run."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from train.base.errors import UserError
from train.reports import differences, groups, measured
from train.reports.differences import Difference
from train.reports.folders import Found, RunFiles
from train.reports.groups import Group, Labels, Seed
from train.reports.measured import Column, Metric

Values = Mapping[Metric, Mapping[Seed, float]]  # of a group


class Comparison(NamedTuple):
    """Groups with their numbers.

    Attributes:
      groups: of runs that differ in the seed alone.
      values: of each group.
      labels: the fields that tell the groups apart.
      headings: of the metrics, in the order of the columns.
      over: the fields in which the runs of a group differ.
      notes: sentences about what is missing or left out.
    """

    groups: Sequence[Group]
    values: Sequence[Values]
    labels: Labels
    headings: Mapping[Metric, str]
    over: Sequence[str]
    notes: Sequence[str]

    def name(self, number: int) -> str:
        """A group in words: what distinguishes it, or the name of its config."""
        text = ", ".join(groups.description(self.groups[number], self.labels.fields))
        return text or str(next(iter(self.groups[number].runs.values())).fields["name"])  # type: ignore[index]


def ungroupable(runs: Sequence[RunFiles]) -> str:
    """A run whose seed is not known, or that has not finished; empty: there is none."""
    lacking = (run.folder for run in runs if run.result is None or not run.fields)
    return next(lacking, "")


def has_seeds(runs: Sequence[RunFiles]) -> bool:
    """Whether some of the runs differ in the seed alone."""
    if ungroupable(runs):
        return False
    return any(len(each.runs) > 1 for each in groups.group(runs).groups)


def compare(
    found: Found, columns: Sequence[Column] = (), over: Sequence[str] = ("seed",)
) -> Comparison:
    """Groups runs and collects their numbers.

    Args:
      found: finished runs with configs.
      columns: numbers beyond the accuracies.
      over: the fields in which the runs of a group differ.

    Raises:
      UserError: there is no such field, or no run has one of the columns.
    """
    grouped = groups.group(found.runs, over)
    notes, values = [*found.notes, *grouped.notes], []
    for each in grouped.groups:
        numbers: dict[Metric, dict[Seed, float]] = {}
        for seed, run in each.runs.items():
            of_run = measured.of(run, columns)
            notes += of_run.notes
            for metric, value in of_run.values.items():
                numbers.setdefault(metric, {})[seed] = value
        values.append(numbers)
    metrics = list(dict.fromkeys(metric for each in values for metric in each))
    for column in columns:
        if column.text not in [metric.name for metric in metrics]:
            raise UserError(f"--columns={column.text}: no run has it")
    whole = max(measured.whole(run) for each in grouped.groups
                for run in each.runs.values())  # fmt: skip
    made = Comparison(
        grouped.groups, values, groups.labels(grouped.groups),
        measured.headings(metrics, whole), over, (),
    )  # fmt: skip
    return made._replace(notes=[*dict.fromkeys(notes), *_problems(made)])


def finite(values: Mapping[Seed, float]) -> dict[Seed, float]:
    """The values that a mean counts."""
    return {seed: value for seed, value in values.items() if math.isfinite(value)}


def paired(
    made: Comparison, number: int, baseline: int, metric: Metric
) -> Difference | None:
    """The difference of a group from the baseline; None: of no common seed."""
    if number == baseline:
        return None
    ours, theirs = (finite(made.values[i].get(metric, {})) for i in (number, baseline))
    return differences.paired(ours, theirs)


def _problems(made: Comparison) -> list[str]:
    """What makes numbers of the table less alike than they look."""
    found = []
    seeds = [frozenset(each.runs) for each in made.groups]
    if len(set(seeds)) > 1:
        shown = "; ".join(
            f"{made.name(number)}: {_seeds(each)}" for number, each in enumerate(seeds)
        )
        found.append(f"the groups have different seeds ({shown})")
    for number, values in enumerate(made.values):
        for metric, heading in made.headings.items():
            bad = [s for s, v in values.get(metric, {}).items() if not math.isfinite(v)]
            if bad:
                found.append(
                    f"{heading} is not a finite number in {made.name(number)} with "
                    f"seed {_seeds(bad)}, which no mean counts"
                )
    natural = {metric.examples for metric in made.headings if metric.name == "natural"}
    if len(natural) > 1:
        counts = ", ".join(map(str, sorted(natural)))
        found.append(f"runs were evaluated on different numbers of examples: {counts}")
    return found


def _seeds(seeds: Sequence[Seed] | frozenset[Seed]) -> str:
    order = lambda seed: [(type(value).__name__, value) for value in seed]
    return ", ".join("/".join(map(str, seed)) for seed in sorted(seeds, key=order))
