"""The section of measures: a part for each measure that a run has a record of."""

from collections.abc import Mapping, Sequence

from train.reports.page.html import Html, element, joined, name, section
from train.reports.page.measures import (
    calibration,
    classes,
    corruptions,
    features,
    generic,
    margins,
    ood,
)
from train.reports.page.measures.found import Drawing, Found
from train.reports.page.runs import Run

DRAWINGS: Mapping[str, Drawing] = {
    "classes": classes.DRAWING,
    "calibration": calibration.DRAWING,
    "corruptions": corruptions.DRAWING,
    "ood": ood.DRAWING,
    "margins": margins.DRAWING,
    "features": features.DRAWING,
}


def draw(runs: Sequence[Run]) -> Html | None:
    """The section; None if no measure was made."""
    found = [
        Found(run, key, record)
        for run in runs
        for key, record in run.folder.measures().items()
    ]
    if not found:
        return None
    measures = dict.fromkeys(each.measure for each in found)
    order = [*(name for name in DRAWINGS if name in measures)]
    order += [measure for measure in measures if measure not in DRAWINGS]
    return section(
        "measures", "Measures",
        *(_part(m, [each for each in found if each.measure == m]) for m in order),
        lead="What train.evaluate --measure has found, each on the images that its row "
        "names.",
    )  # fmt: skip


def _part(measure: str, found: Sequence[Found]) -> Html:
    title, lead, draw_it = DRAWINGS.get(measure, Drawing("", "", generic.draw))
    try:
        drawn = draw_it(found)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        # A record of another version, whose form is not the one that is drawn.
        drawn = generic.draw(found)
    heading = title or joined("Measure ", name(measure))
    return element(
        "div", element("h3", heading), element("p", lead) if lead else None, drawn,
        class_="measure",
    )  # fmt: skip
