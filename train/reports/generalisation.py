"""Margins against the generalisation gap over a set of runs, from their records.

The gap is the accuracy on the training part minus that on the test part. If larger
margins generalise, runs of larger margins have smaller gaps: a negative correlation.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.table import Table

from train.base import contents
from train.base.errors import UserError
from train.experiment import settings
from train.reports import groups
from train.reports.correlation import FEWEST, Correlation, rank_correlation
from train.reports.folders import RunFiles

MEASURE = "margins"
# Margins are compared between records that agree in these.
COMPARABLE = (
    "dataset", "data_fingerprint", "evaluated_on", "num_examples", "attack", "norm",
    "epsilon", "steps", "relative_step_size", "restarts", "distance_examples",
    "distance_norm",
)  # fmt: skip
# The gap of each kind of accuracy, and the state of the images of the margin beside it.
STATES = {"natural": "natural", "robust": "adversarial"}
DISTANCE = "distance"  # is known of natural images alone, and stands beside both gaps
NUMBERS = Mapping[str, float]
KINDS = ("logit", "relative", "probability", DISTANCE)


class Point(NamedTuple):
    """A run, with its record of margins.

    Attributes:
      run: its name.
      setting: what it shares with the runs that differ in the seed alone.
      record: of the measure `margins`.
    """

    run: str
    setting: str
    record: Mapping[str, Any]

    def margin(self, kind: str, part: str, gap: str) -> float | None:
        """The mean margin that stands beside a gap; None: not known."""
        state = "natural" if kind == DISTANCE else STATES[gap]
        return self.record["found"]["means"].get(f"{kind}_{part}_{state}")

    def gap(self, gap: str) -> float | None:
        """Natural or robust; None: not known."""
        return self.record["found"]["gap"].get(gap)


class Relation(NamedTuple):
    """A kind of mean margin and a gap, a value each for every run.

    Attributes:
      kind: of the margin.
      gap: "natural" or "robust".
      margins: of the runs.
      gaps: of the runs.
      correlation: of the two.
    """

    kind: str
    gap: str
    margins: list[float]
    gaps: list[float]
    correlation: Correlation

    @property
    def what(self) -> str:
        """What is set beside the gap, in words."""
        return self.kind if self.kind == DISTANCE else f"{self.kind} margin"


def points(runs: Sequence[RunFiles]) -> list[Point]:
    """The records of margins that can be compared, one for each run.

    Of several sets of records that agree, the one of the most examples is taken, and of
    several records of a run in it that of the latest step.

    Raises:
      UserError: fewer than three runs, a run without a record of margins, records that
        lack what is compared, or runs whose records do not agree.
    """
    if len(runs) < FEWEST:
        raise UserError(
            f"a rank correlation needs {FEWEST} runs or more, got {len(runs)}"
        )
    by_run = {run.folder: _of_margins(run.folder, run.records) for run in runs}
    common = set.intersection(*(set(found) for found in by_run.values()))
    if not common:
        raise UserError(_disagreement(by_run))
    most = COMPARABLE.index("num_examples")
    best = max(common, key=lambda key: (key[most], repr(key)))
    latest = [
        max(found[best], key=lambda record: record.get("step", 0))
        for found in by_run.values()
    ]
    names = [run.name for run in runs]
    return list(map(Point, names, _settings(runs), latest))


def relations(found: Sequence[Point], part: str) -> list[Relation]:
    """Each kind of margin with each gap that all runs have.

    Args:
      found: the runs.
      part: "training" or "test", whose margins are taken.
    """
    made = []
    for kind in KINDS:
        for gap in STATES:
            pairs = [(each.margin(kind, part, gap), each.gap(gap)) for each in found]
            known = [(x, y) for x, y in pairs if x is not None and y is not None]
            if len(known) < len(found):
                continue
            margins, gaps = map(list, zip(*known, strict=True))
            correlation = rank_correlation(margins, gaps)
            made.append(Relation(kind, gap, margins, gaps, correlation))
    return made


def runs_table(found: Sequence[Point], part: str) -> Table:
    """A row for each run: accuracies on both parts, gaps and mean margins."""
    drawn = Table(title=f"Mean margins of the {part} part")
    drawn.add_column("run", overflow="fold")
    kinds = [
        (kind, gap)
        for kind in KINDS
        for gap in STATES
        if (kind != DISTANCE or gap == "natural")
        and all(point.margin(kind, part, gap) is not None for point in found)
    ]
    gaps = [gap for gap in STATES if all(p.gap(gap) is not None for p in found)]
    for gap in gaps:
        drawn.add_column(f"{gap}\ntrain", justify="right")
        drawn.add_column(f"{gap}\ntest", justify="right")
        drawn.add_column(f"{gap}\ngap", justify="right")
    for kind, gap in kinds:
        drawn.add_column(kind if kind == DISTANCE else f"{kind}\n{STATES[gap]}",
                         justify="right")  # fmt: skip
    for point in found:
        parts = point.record["found"]
        cells = []
        for gap in gaps:
            name = f"{gap}_accuracy"
            both = (parts["training"][name], parts["test"][name])
            cells += [f"{100 * value:.2f}%" for value in (*both, both[0] - both[1])]
        means = [point.margin(kind, part, gap) for kind, gap in kinds]
        drawn.add_row(point.run, *cells, *(f"{mean:.4g}" for mean in means))
    return drawn


def cautions(found: Sequence[Point], made: Sequence[Relation]) -> list[str]:
    """What to keep in mind about the correlations, in sentences."""
    said = [
        "If larger margins generalise, the coefficient is negative: the gap is the "
        "accuracy on the training part minus that on the test part."
    ]
    different = len({point.setting for point in found})
    if different < len(found):
        plural = "s" * (different > 1)
        said.append(
            f"These are {len(found)} runs of {different} setting{plural}: "
            "runs that differ in the seed alone are alike, so that p is smaller than "
            "it should be."
        )
    stored = sum("distance_record" in point.record for point in found)
    if 0 < stored < len(found):
        said.append(
            f"Distances of the test part are AutoAttack's in {stored} of {len(found)} "
            "runs and FAB's in the others: they are not found alike."
        )
    if len(made) > 1:
        said.append(
            f"Of {len(made)} coefficients one may look large by chance: p is not "
            "corrected for their number."
        )
    return said


def _settings(runs: Sequence[RunFiles]) -> list[str]:
    """What each run shares with those that differ in the seed alone, in short."""
    each = [groups.Group(_without_seed(run), {}) for run in runs]
    fields = groups.labels(each).fields
    return [", ".join(groups.description(one, fields)) or "all runs" for one in each]


def _without_seed(run: RunFiles) -> Mapping[str, Any]:
    """The config of a run but its seed; of weights without a run, their folder."""
    if run.fields is None:
        return {"folder": run.name}
    return {
        field: value
        for field, value in run.fields.items()
        if field != "seed" and not settings.is_among(field, settings.WITHOUT_EFFECT)
    }


def _of_margins(
    run: str, records: Iterable[Mapping[str, Any]]
) -> dict[tuple[Any, ...], list[Mapping[str, Any]]]:
    """The records of margins of a run by what they must have in common."""
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for record in records:
        if record.get("measure") != MEASURE:
            continue
        where = f"{run}: a record of {MEASURE}"
        contents.check_object(where, record, num_examples=int)
        inner = contents.check_object(f"{where}: found", record.get("found"))
        for name in ("training", "test", "gap", "means"):
            contents.check_object(f"{where}: found", inner, **{name: NUMBERS})
        key = tuple(record.get(name) for name in COMPARABLE)
        found.setdefault(key, []).append(record)
    if not found:
        raise UserError(
            f"{run} has no record of margins: python -m train.evaluate "
            f"--workdir={run} --measure={MEASURE} makes one"
        )
    return found


def _disagreement(by_run: Mapping[str, Mapping[tuple[Any, ...], Any]]) -> str:
    """Which argument differs between the first runs that do not agree."""
    (first, keys), *others = by_run.items()
    for other, other_keys in others:
        if set(keys) & set(other_keys):
            continue
        mine, theirs = next(iter(keys)), next(iter(other_keys))
        for name, one, two in zip(COMPARABLE, mine, theirs, strict=True):
            if one != two:
                return (
                    f"the margins of {first} and {other} cannot be compared: "
                    f"{name} is {one} and {two}; evaluate both alike"
                )
    return "no record of margins agrees between all runs; evaluate them alike"
