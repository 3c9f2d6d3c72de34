"""What the numbers depend on besides the config: versions, data and weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from train.reports.page import numbers, words
from train.reports.page.html import Content, Html, name, section, table
from train.reports.page.runs import Run

VERSIONS = ("python", "jax", "flax", "ikl_jax")


def draw(runs: Sequence[Run]) -> Html | None:
    """The section; None if nothing is known."""
    rows = [row for run in runs for row in _rows(run)]
    if not rows:
        return None
    head = ["run", "made by", *VERSIONS, "weights", "data"]
    drawn = table(head, rows, label="Versions, weights and data", numbers_from=9)
    return section(
        "environment", "Environment", drawn,
        lead="Versions with which each result was computed, and checksums of the "
        "weights and of the images: the same checksum means the same numbers.",
    )  # fmt: skip


def _rows(run: Run) -> list[list[Content]]:
    """One row for each combination that differs."""
    found: dict[tuple[str, ...], dict[str, None]] = {}
    made = [] if run.folder.result is None else [("training", run.folder.result)]
    made += [(_maker(record), record) for record in run.folder.records.values()]
    for kind, record in made:
        found.setdefault(_identity(record), {})[kind] = None
    return [
        [name(run.name), name(numbers.listed([*kinds])), *(name(text) for text in row)]
        for row, kinds in found.items()
        if any(text != "–" for text in row)
    ]


def _identity(record: Mapping[str, Any]) -> tuple[str, ...]:
    versions = record.get("versions", {})
    versions = versions if isinstance(versions, dict) else {}
    fields = (
        *(versions.get(package) for package in VERSIONS),
        record.get("weights_checksum"), record.get("data_fingerprint"),
    )  # fmt: skip
    return tuple("–" if field is None else str(field) for field in fields)


def _maker(record: Mapping[str, Any]) -> str:
    """What has made a record, in words."""
    if "measure" in record:
        return f"measure {record['measure']}"
    attacks = [words.attack(attack) for attack in record["robust_accuracy"]]
    return numbers.listed(attacks) if attacks else "evaluation without attack"
