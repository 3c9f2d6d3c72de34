"""The table of runs that a command ends with: of groups if there are seeds."""

from train.reports import comparison, group_tables, tables
from train.reports.folders import Found
from train.reports.formats import Page


def of_any(found: Found) -> Page:
    """A row for each group if some runs differ in the seed alone, else for each run."""
    if comparison.has_seeds(found.runs):
        return group_tables.page(comparison.compare(found))
    return of_runs(found)


def of_runs(found: Found) -> Page:
    """A row for each set of weights that was evaluated."""
    results = {run.folder: run.result for run in found.runs}
    records = {run.folder: run.records for run in found.runs}
    notes = [f"Note: {note}." for note in found.notes]
    return Page([tables.table(results, records)], notes)
