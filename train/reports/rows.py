"""Which rows a table of runs has: one for each set of weights that was evaluated.

The first row of a run is its `result.json`, with the records of the same weights beside
it. Records of other weights, of another step, or on other data get rows of their own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from train.base import contents
from train.reports import tasks

Record = Mapping[str, Any]

# Two records share a row unless a field that both have differs. Records of earlier
# versions lack some.
IDENTITY = (
    "weights", "step", "weights_checksum", "model", "normalize", "dtype", "dataset",
    "data_fingerprint", "image_sizes", "evaluated_on",
)  # fmt: skip


# Fields that a row shows. A record of an attack has epsilon, too.
SHOWN = {
    "robust_accuracy": Mapping[str, float], "natural_accuracy": float,
    "num_examples": int, "dataset": str, "evaluated_on": str, "weights": str,
}  # fmt: skip
# Of these, a record of an earlier version lacks some.
OPTIONAL = {
    "step": int, "weights_checksum": str, "model": str, "dtype": str,
    "data_fingerprint": str, "image_sizes": Sequence[int], "part_examples": int,
    "seed": int, "relative_step_size": float,
    "accuracy_by_shots": Mapping[str, float],
}  # fmt: skip


def check(where: Any, record: Any, **kinds: Any) -> None:
    """Raises `UserError` unless a record has what a row shows.

    Args:
      where: the file, for the message.
      record: of an evaluation, or the result of a run.
      kinds: of further fields that it must have.
    """
    contents.check_object(where, record, **SHOWN, **kinds)
    there = {name: kind for name, kind in OPTIONAL.items() if name in record}
    contents.check_object(where, record, **there)
    if isinstance(attack := record.get("attack", {}), dict):  # of a result
        there = {name: kind for name, kind in OPTIONAL.items() if name in attack}
        contents.check_object(where, attack, **there)
    if tasks.FIELD in record:
        tasks.check(where, record)
    if record["robust_accuracy"]:
        contents.check_object(where, record, epsilon=float)


class Column(NamedTuple):
    """An attack, in the heading of a table.

    Attributes:
      attack: its name, such as "pgd20".
      epsilon: its radius.
      relative_step_size: of PGD; None: not known, or none.
    """

    attack: str
    epsilon: float
    relative_step_size: float | None


class Row(NamedTuple):
    """What is known of one set of weights on one part of a data set.

    Attributes:
      run: the name of the run.
      records: that were made on them.
      result: the result of the run if it is of these weights.
    """

    run: str
    records: Sequence[Record]
    result: Record | None = None

    @property
    def weights(self) -> str:
        """Which weights these are, for people."""
        first = self.records[0]
        step = f", step {first['step']}" if "step" in first else ""
        dtype = first.get("dtype", "float32")
        return f"{first['weights']}{step}" + (
            f", {dtype}" if dtype != "float32" else ""
        )

    @property
    def data(self) -> str:
        """The data set and its part."""
        return f"{self.records[0]['dataset']} ({self.records[0]['evaluated_on']})"

    @property
    def image_sizes(self) -> Sequence[int]:
        """`data.image_size`, `data.resize_shorter`; empty: as they are, or unknown."""
        sizes = [record.get("image_sizes") for record in self.records]
        return next(filter(None, sizes), ())

    @property
    def checksums(self) -> str:
        """Of the weights and of the data, as far as they are known."""
        first = self.records[0]
        known = (first.get("weights_checksum"), first.get("data_fingerprint"))
        return ", ".join(filter(None, known))

    @property
    def natural(self) -> Record:
        """The record of the most examples."""
        return max(self.records, key=lambda record: record["num_examples"])

    @property
    def whole(self) -> int:
        """The size of the part of the data that was evaluated on, as far as known."""
        sizes = [record.get("part_examples") for record in self.records]
        known = [size for size in sizes if size]
        return max([*known, self.natural["num_examples"]])

    def robust(self) -> dict[Column, list[tuple[Record, float]]]:
        """For each attack the accuracies, of the most examples first."""
        found: dict[Column, list[tuple[Record, float]]] = {}
        for record in self.records:
            for attack, accuracy in record["robust_accuracy"].items():
                step_size = record.get("relative_step_size")
                column = Column(attack, record["epsilon"], step_size)
                found.setdefault(column, []).append((record, accuracy))
        return {
            column: sorted(entries, key=lambda entry: -entry[0]["num_examples"])
            for column, entries in found.items()
        }


def rows(run: str, result: Record | None, records: Iterable[Record]) -> list[Row]:
    """The rows of a run.

    Args:
      run: its name.
      result: what its `result.json` holds; None: it has not finished.
      records: of its `evaluation.json`.
    """
    found = [] if result is None else [Row(run, [_as_record(result)], result)]
    for record in map(_with_image_sizes, records):
        for place, row in enumerate(found):
            if all(_agree(record, other) for other in row.records):
                found[place] = row._replace(records=[*row.records, record])
                break
        else:
            found.append(Row(run, [record]))
    return [row._replace(records=_unrepeated(row.records)) for row in found]


def _as_record(result: Record) -> Record:
    """A result as the record of an evaluation after the last step."""
    attack = result.get("attack")
    arguments = attack if isinstance(attack, dict) else {}
    return {**result, **arguments, "step": result["steps"]}


def _with_image_sizes(record: Record) -> Record:
    """The record of an evaluation with empty sizes where images are as they are.

    Records of earlier versions, which have no checksum, do not say whether they are.
    """
    return {"image_sizes": [], **record} if "weights_checksum" in record else record


def _agree(record: Record, other: Record) -> bool:
    return all(
        record[field] == other[field]
        for field in IDENTITY
        if field in record and field in other
    )


def _unrepeated(records: Sequence[Record]) -> list[Record]:
    """Drops records that repeat an earlier one's numbers."""
    fields = (
        "robust_accuracy", "natural_accuracy", "num_examples", "epsilon", "seed",
        "relative_step_size", "norm",
    )  # fmt: skip
    kept: list[Record] = []
    for record in records:
        said = [record.get(field) for field in fields]
        if all([other.get(field) for field in fields] != said for other in kept):
            kept.append(record)
    return kept
