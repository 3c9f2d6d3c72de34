"""Tables of groups of runs: means, deviations, and differences from a baseline."""

from train.reports import differences, groups
from train.reports.comparison import Comparison, finite, paired
from train.reports.differences import Difference
from train.reports.formats import Grid, Page
from train.reports.measured import Metric

# Headings of the fields of a difference where there are others beside them.
DIFFERENCE = [
    f"difference_{name}" if name == "mean" else name for name in Difference._fields
]


def summary_grid(made: Comparison) -> Grid:
    """A row for each group, with mean and deviation over its seeds."""
    left = made.labels.fields or ["config"]
    rows = []
    for number, each in enumerate(made.groups):
        row = _label(made, number)
        row.append(str(len(each.runs)))
        row += [_mean(made, number, metric) for metric in made.headings]
        rows.append(row)
    heads = [f"{name}, %" if metric.percent else name
             for metric, name in made.headings.items()]  # fmt: skip
    return Grid([*left, "seeds", *heads], rows, len(left))


def difference_grid(made: Comparison, baseline: int) -> Grid:
    """A row for each group and metric: its difference from the baseline."""
    left = [*(made.labels.fields or ["config"]), "metric"]
    rows = []
    for metric, heading in made.headings.items():
        for number in range(len(made.groups)):
            if number == baseline:
                continue
            row = [*_label(made, number), heading]
            rows.append(row + _difference(made, number, baseline, metric))
    heads = ["pairs", "difference", "95 % interval", "p sign flip", "least p", "p t"]
    title = f"differences from {made.name(baseline)}"
    return Grid([*left, *heads], rows, len(left), title)


def page(made: Comparison, baseline: int | None = None) -> Page:
    """The tables, with what one must know to read them."""
    grids, notes = [summary_grid(made)], []
    if any(len(each.runs) > 1 for each in made.groups):
        notes.append("± is the standard deviation over the seeds (n - 1).")
    if made.labels.others:
        notes.append(
            f"The groups differ in these, too: {', '.join(made.labels.others)}."
        )
    if baseline is not None:
        differing = difference_grid(made, baseline)
        grids.append(differing)
        notes += _explained(made, baseline, len(differing.rows))
    return Page(grids, [*notes, *(f"Note: {each}." for each in made.notes)])


def long_grid(made: Comparison, baseline: int | None = None) -> Grid:
    """All numbers at full precision, a row for each group and metric; for CSV."""
    names = made.labels.fields or ["config"]
    heads = [*names, "metric", "unit", "seeds", "measured", "mean", "deviation",
             *(DIFFERENCE if baseline is not None else ())]  # fmt: skip
    rows = []
    for number, each in enumerate(made.groups):
        for metric, heading in made.headings.items():
            of_seeds = finite(made.values[number].get(metric, {}))
            row = [*_label(made, number), heading, "share" if metric.percent else ""]
            row += [str(len(each.runs)), str(len(of_seeds))]
            short = differences.summary([*of_seeds.values()]) if of_seeds else None
            row += [_exact(short and short.mean), _exact(short and short.deviation)]
            if baseline is not None:
                found = paired(made, number, baseline, metric)
                row += [_exact(v) for v in found or [None] * len(DIFFERENCE)]
            rows.append(row)
    return Grid(heads, rows, len(names) + 2)


def _label(made: Comparison, number: int) -> list[str]:
    each, fields = made.groups[number], made.labels.fields
    if not fields:
        return [made.name(number)]
    return [groups.shown(each.settings.get(field)) for field in fields]


def _mean(made: Comparison, number: int, metric: Metric) -> str:
    """Mean ± deviation, and of how many seeds if not of all."""
    whole = len(made.groups[number].runs)
    of_seeds = finite(made.values[number].get(metric, {}))
    if not of_seeds:
        return "–"
    found = differences.summary([*of_seeds.values()])
    text = _number(found.mean, metric)
    if found.deviation is not None:
        text += f" ± {_number(found.deviation, metric)}"
    return text if found.size == whole else f"{text} ({found.size} of {whole})"


def _difference(
    made: Comparison, number: int, baseline: int, metric: Metric
) -> list[str]:
    found = paired(made, number, baseline, metric)
    if found is None:
        return ["0", *["–"] * 5]
    texts = [str(found.pairs), _signed(found.mean, metric)]
    if found.low is None or found.high is None:
        return [*texts, *["–"] * 4]
    texts.append(f"{_signed(found.low, metric)} to {_signed(found.high, metric)}")
    tests = (found.p_sign_flip, found.least_p, found.p_t)
    return texts + [f"{p:.3g}" if p is not None else "–" for p in tests]


def _number(value: float, metric: Metric) -> str:
    return f"{100 * value:.2f}" if metric.percent else f"{value:.4g}"


def _signed(value: float, metric: Metric) -> str:
    return f"{100 * value:+.2f}" if metric.percent else f"{value:+.4g}"


def _exact(value: float | None) -> str:
    return "" if value is None else repr(value)


def _explained(made: Comparison, baseline: int, count: int) -> list[str]:
    """How the differences are to be read."""
    pairs = [
        found.pairs
        for number in range(len(made.groups))
        for metric in made.headings
        if (found := paired(made, number, baseline, metric))
    ]
    notes = [
        "Differences are taken seed by seed, of shares in percentage points; the "
        "interval is Student's t, and p t his paired test, which takes the differences "
        "for normally distributed."
    ]
    if few := [each for each in pairs if each > 1]:
        least = min(few)
        notes.append(
            f"p sign flip is exact and assumes nothing but symmetry: of "
            f"{least} pairs it cannot be below 2/2^{least} = {2 / 2**least:.3g}, so "
            + ("it cannot reach 0.05." if 2 / 2**least > 0.05 else "it can reach 0.05.")
        )
    if count > 1:
        notes.append(f"No p is corrected for the {count} comparisons of this table.")
    return notes
