"""Planted defects by room; `tests/planted.py` plants them."""

from tests.defects import (
    attacks,
    augment,
    comparisons,
    continual,
    data,
    ensemble,
    evaluation,
    files,
    losses,
    margins,
    measures,
    models,
    recipes,
    report,
    runs,
    search,
    semi_supervised,
    weights,
)
from tests.defects.defect import Defect

ROOMS: dict[str, list[Defect]] = {
    "losses": losses.DEFECTS,
    "attacks": attacks.DEFECTS,
    "ensemble": ensemble.DEFECTS,
    "models": models.DEFECTS,
    "data": data.DEFECTS,
    "augment": augment.DEFECTS,
    "recipes": recipes.DEFECTS,
    "semi_supervised": semi_supervised.DEFECTS,
    "continual": continual.DEFECTS,
    "report": report.DEFECTS,
    "runs": runs.DEFECTS,
    "comparisons": comparisons.DEFECTS,
    "search": search.DEFECTS,
    "files": files.DEFECTS,
    "evaluation": evaluation.DEFECTS,
    "margins": margins.DEFECTS,
    "measures": measures.DEFECTS,
    "weights": weights.DEFECTS,
}
