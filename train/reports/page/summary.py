"""The beginning of the page: three sentences, and the most important numbers."""

import datetime
from collections.abc import Sequence

from train.reports.page import numbers, words
from train.reports.page.html import Content, Html, element, joined, name, plain_list
from train.reports.page.runs import Run, differing
from train.reports.page.sections import results
from train.reports.rows import Column, Row

Found = Sequence[tuple[Run, Row]]
SHOWN_FIELDS = 3  # fields that differ, in the first sentence


def draw(runs: Sequence[Run], now: datetime.datetime) -> Html:
    """Three sentences; for one run its numbers; what goes on; what is damaged."""
    found = results.rows_of(runs)
    one = len(runs) == 1
    first = _one(runs[0]) if one else _several(runs)
    second = _result(found) if one else _range(found)
    sentences = [first, second, _caution(runs, found)]
    return element(
        "div",
        element("p", _spaced(sentences), class_="summary"),
        _tiles(found) if one else None,
        _states(runs, now),
        _notes(runs),
    )


def _spaced(sentences: Sequence[Content]) -> list[Content]:
    return [part for sentence in sentences for part in (sentence, " ")]


def _one(run: Run) -> Html:
    """What the run is."""
    config, result = run.folder.config, run.folder.result
    if not config:
        return joined(name(run.name), " holds evaluations of weights from elsewhere.")
    parts: list[Content] = [name(run.name), f": {words.training(run.folder)} of "]
    parts += [name(config.get("model.name", "a model")), " on "]
    parts += [name(config.get("data.source", "unknown data")), ", "]
    if result is None:
        return joined(*parts, f"{config.get('epochs', '?')} epochs in all.")
    time, epochs = numbers.duration(result["seconds"]), result.get("epochs")
    length = f"{epochs} epochs, " if epochs is not None else ""
    return joined(*parts, f"{length}{result['steps']:,} steps in {time}.")


def _several(runs: Sequence[Run]) -> Html:
    """How many runs there are, and in what they differ."""
    settings = len({run.setting for run in runs})
    data = {str(run.folder.config.get("data.source", "")) for run in runs} - {""}
    counted = numbers.counted(len(runs), "run").capitalize()
    parts: list[Content] = [counted]
    if settings < len(runs):
        parts += [" of ", numbers.counted(settings, "setting")]
    parts += [" on ", _named_list(sorted(data))] if data else []
    fields = list(differing(runs))
    if not fields:
        return joined(*parts, "; their configs are the same.")
    rest = len(fields) - SHOWN_FIELDS
    shown = [element("code", field) for field in fields[:SHOWN_FIELDS]]
    more = f" and {numbers.counted(rest, 'more field')}" if rest > 0 else ""
    return joined(*parts, "; they differ in ", _commas(shown), f"{more}.")


def _named_list(texts: Sequence[str]) -> Html:
    return _commas([name(text) for text in texts[:4]] + ["…"] * (len(texts) > 4))


def _commas(pieces: Sequence[Content]) -> Html:
    return joined(
        (", " if place else "", piece) if place + 1 < len(pieces) or not place
        else (" and ", piece)
        for place, piece in enumerate(pieces)
    )  # fmt: skip


def _result(found: Found) -> Html:
    """What one run has reached, on its first row."""
    if not found:
        return joined("It has not been evaluated yet.")
    _, row = found[0]
    record = row.natural
    natural = numbers.percent(record["natural_accuracy"])
    part = row.records[0]["evaluated_on"]
    text = (
        f"It classifies {natural} of {record['num_examples']:,} {part} examples "
        "correctly as they are"
    )
    strongest = _strongest(row)
    if strongest is None:
        return joined(text, ", and no attack was made on them.")
    column, accuracy = strongest
    where = _under(column, row)
    return joined(text, f", and {numbers.percent(accuracy)} under {where}.")


def _strongest(row: Row) -> tuple[Column, float] | None:
    """The attack that leaves the least of those at the smallest epsilon of the row."""
    entries = [
        (column, accuracy)
        for column in row.robust()
        if (accuracy := results.best_of(row, column)) is not None
    ]
    if not entries:
        return None
    epsilon = min(column.epsilon for column, _ in entries)
    return min((e for e in entries if e[0].epsilon == epsilon), key=lambda e: e[1])


def _under(column: Column, row: Row) -> str:
    record = row.robust()[column][0][0]
    return f"{words.attack(column.attack)} in the ball {words.ball(record)}"


def _range(found: Found) -> Html:
    """The best and the worst of several runs, under the attack that most have seen."""
    if not found:
        return joined("None of them has been evaluated yet.")
    data = max({row.data for _, row in found}, key=lambda d: _count(found, d))
    same = [(run, row) for run, row in found if row.data == data]
    attacks = list(results.columns(same))
    shared = max(attacks, key=lambda c: (_seen(same, c), -_mean(same, c)), default=None)
    if shared is None:
        scores = [(run, row.natural["natural_accuracy"]) for run, row in same]
        what = "natural accuracy"
    else:
        pairs = [(run, results.best_of(row, shared)) for run, row in same]
        scores = [(run, value) for run, value in pairs if value is not None]
        row = next(row for _, row in same if results.best_of(row, shared) is not None)
        what = f"robust accuracy under {_under(shared, row)}"
    best, worst = max(scores, key=lambda s: s[1]), min(scores, key=lambda s: s[1])
    if len(scores) == 1:
        return joined(
            "Only ", name(best[0].name), f" has a {what}: {numbers.percent(best[1])}."
        )
    if best[1] == worst[1]:
        return joined(f"All have the same {what}: {numbers.percent(best[1])}.")
    return joined(
        name(best[0].name), f" has the highest {what}: {numbers.percent(best[1])}; ",
        name(worst[0].name), f" has the lowest: {numbers.percent(worst[1])}.",
    )  # fmt: skip


def _count(found: Found, data: str) -> int:
    return sum(row.data == data for _, row in found)


def _seen(found: Found, column: Column) -> int:
    return sum(results.best_of(row, column) is not None for _, row in found)


def _mean(found: Found, column: Column) -> float:
    values = [results.best_of(row, column) for _, row in found]
    known = [value for value in values if value is not None]
    return sum(known) / len(known)


def _caution(runs: Sequence[Run], found: Found) -> str:
    """What a reader must know before believing the numbers."""
    if len({row.data for _, row in found}) > 1:
        return "The runs are on different data, so their numbers cannot be compared."
    open_ = [run for run in runs if run.folder.unfinished]
    if open_:
        count = (
            "It" if len(runs) == 1 else numbers.counted(len(open_), "run").capitalize()
        )
        verb = "has" if len(open_) == 1 else "have"
        return f"{count} {verb} not finished, so the numbers are not final."
    attacks = {c.attack for _, row in found for c in row.robust()}
    if not attacks:
        return "Accuracy without an attack says nothing about robustness."
    if not any(attack.startswith("autoattack") for attack in attacks):
        return (
            "PGD gives an upper bound on robust accuracy; AutoAttack, which is "
            "stronger, has not been run."
        )
    small = min(row.natural["num_examples"] for _, row in found)
    error = 100 * 0.5 / small**0.5
    return (
        f"With {small:,} examples, the standard error of an accuracy is at most "
        f"{error:.1f} points."
    )


def _tiles(found: Found) -> Html | None:
    """The accuracies of a run in large figures."""
    if not found:
        return None
    _, row = found[0]
    tiles = [("natural", "", row.natural["natural_accuracy"])]
    for column in results.columns(found):
        value = results.best_of(row, column)
        if value is not None:
            where = words.ball(row.robust()[column][0][0])
            tiles.append((words.attack(column.attack), where, value))
    items = [
        [
            element("strong", numbers.percent(value)), element("span", title),
            element("small", where) if where else None,
        ]
        for title, where, value in tiles[:4]
    ]  # fmt: skip
    return plain_list(items, "tiles")


def _states(runs: Sequence[Run], now: datetime.datetime) -> Html | None:
    """What is said of runs that have not finished."""
    lines = [
        joined(name(run.name), _state(run, now))
        for run in runs
        if run.folder.unfinished
    ]
    return plain_list(lines, "notes") if lines else None


def _state(run: Run, now: datetime.datetime) -> str:
    folder = run.folder
    begun = "goes on" if folder.training else "has stopped before its end"
    if not folder.lines:
        return f" {begun}: no step is logged yet."
    per_epoch = folder.config.get("steps_per_epoch") or 0
    epochs = folder.config.get("epochs") or 0
    whole = f" of {per_epoch * epochs:,}" if per_epoch and epochs else ""
    text = f" {begun}: its last step in the log is {folder.last_step:,}{whole}"
    if folder.written is not None:
        when = folder.written.strftime("%Y-%m-%d %H:%M UTC")
        passed = numbers.duration(max((now - folder.written).total_seconds(), 0))
        text += f", written at {when}, {passed} before this page"
    if folder.training:
        return f"{text}."
    return f"{text}. The same command goes on with it."


def _notes(runs: Sequence[Run]) -> Html | None:
    notes = [
        joined(name(run.name), ": ", note) for run in runs for note in run.folder.notes
    ]
    return plain_list(notes, "notes") if notes else None
