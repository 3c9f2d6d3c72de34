"""The registry of measures: every one that is imported here.

A new measure is a file, or a folder, in this one that defines a `Measure`, and a line
here that imports it. Its picture, if it has one, is registered in
`train/reports/measures/`.
"""
# ruff: noqa: F401

from train.base import registry
from train.evaluation.measures.calibration import CALIBRATION
from train.evaluation.measures.classes import CLASSES
from train.evaluation.measures.corruptions import CORRUPTIONS
from train.evaluation.measures.features import FEATURES
from train.evaluation.measures.margins import MARGINS
from train.evaluation.measures.measure import Measure, Option
from train.evaluation.measures.ood import OOD

# What --measure accepts.
MEASURES: dict[str, Measure] = registry.by_name(globals(), Measure)


def options() -> dict[str, Option]:
    """The flags of all measures by name.

    Raises:
      ValueError: two measures have different flags of the same name.
    """
    found: dict[str, Option] = {}
    for measure in MEASURES.values():
        for option in measure.options:
            if found.setdefault(option.name, option) is not option:
                raise ValueError(
                    f"--measure={measure.name} defines --{option.name} in another way "
                    "than an earlier measure: share the Option, or rename it"
                )
    return found
