"""Other images: how well each score tells them from the model's own."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from train.reports.page import numbers
from train.reports.page.charts import bars
from train.reports.page.html import Content, Html, details, element, joined, name, table
from train.reports.page.measures.found import Drawing, Found
from train.reports.page.runs import Look

HEAD = ("run", "against", "score", "AUROC", "AUPR, own", "AUPR, other", "FPR at 95 %")
INSIDE, OUTSIDE = Look(0, 0, 0), Look(1, 1, 1)


def draw(found: Sequence[Found]) -> Html:
    """A row for each score of each run, then the histograms of each run."""
    rows = [row for each in found for row in _rows(each)]
    parts: list[Content] = [
        table(HEAD, rows, label="Detection of other images", numbers_from=3)
    ]
    for each in found:
        grid = element("div", *_histograms(each), class_="charts wide")
        if len(found) == 1:
            parts.append(grid)
        else:
            title = joined(name(each.run.name), " against ", name(_against(each)))
            parts.append(details(joined("Histograms: ", title), grid))
    return joined(*parts)


def _against(each: Found) -> str:
    return str(each.content["against"])


def _rows(each: Found) -> Iterator[list[Content]]:
    for score, found in each.content["scores"].items():
        values = (
            found["area_under_roc"], found["average_precision_in"],
            found["average_precision_out"], found["false_positive_rate_at_95"],
        )  # fmt: skip
        yield [
            name(each.run.name), name(_against(each)), name(score.replace("_", " ")),
            *(numbers.percent(value) for value in values),
        ]  # fmt: skip


def _histograms(each: Found) -> Iterator[Html]:
    for score, found in each.content["scores"].items():
        drawn: Mapping[str, Any] = found["histogram"]
        groups = {
            "the model's own images": (INSIDE, drawn["in_distribution"]),
            "other images": (OUTSIDE, drawn["out_of_distribution"]),
        }
        text = score.replace("_", " ")
        yield bars.histogram(text.capitalize(), drawn["edges"], groups, x=text)


DRAWING = Drawing(
    "Other images",
    "How well a score tells images of another source from the model's own: AUROC is "
    "50 % for a score that tells nothing, 100 % for a perfect one; FPR is the share of "
    "other images that is accepted where 95 % of the own ones are.",
    draw,
)
