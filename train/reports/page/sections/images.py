"""Images, what an attack adds to them, and what the model says of both."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from train.base.errors import UserError
from train.reports.page import png, reading, words
from train.reports.page.html import (
    Content,
    Html,
    details,
    element,
    isolated,
    joined,
    name,
    plain_list,
    section,
)
from train.reports.page.runs import Run

NAMES = (
    "label", "image_index", "image", "image_adversarial", "image_predicted",
    "image_predicted_adversarial",
)  # fmt: skip
OPEN = 3  # runs whose images are shown; those of others open by a click
BYTES = 600_000  # of all images together, before they are base64
WIDTH = 900  # pixels of a run's own picture, at most


@dataclasses.dataclass
class Room:
    """How much of the page images may still take."""

    left: int = BYTES

    def takes(self, content: bytes) -> bool:
        """Whether there is room for a file, which then is taken."""
        fits = len(content) <= self.left
        self.left -= len(content) if fits else 0
        return fits


def draw(runs: Sequence[Run]) -> Html | None:
    """The section; None if no run has images."""
    room = Room()
    found = [(run, drawn) for run in runs if (drawn := _of_run(run, runs, room))]
    if not found:
        return None
    parts = []
    for place, (run, drawn) in enumerate(found):
        if len(runs) == 1:
            parts.append(drawn)
        else:
            parts.append(details(name(run.name), drawn, open_=place < OPEN))
    return section(
        "images", "Images and perturbations", *parts,
        lead="Images as they are, what the attack adds (grey is zero), and both "
        "together, with the model's answers. After AutoAttack, these are the first "
        "images that it broke; otherwise, the first ones.",
    )  # fmt: skip


def _of_run(run: Run, runs: Sequence[Run], room: Room) -> Html | None:
    names = words.class_names(each.folder for each in runs)
    for record in run.folder.records.values():
        try:
            found = reading.arrays(run.folder, record, NAMES)
        except UserError:
            continue  # the section on epsilon says so
        if set(NAMES) <= set(found):
            return _grid(run, record, found, names, room)
    return _picture(run, room)


def _picture(run: Run, room: Room) -> Html | None:
    """The picture that training has left."""
    if run.folder.examples is None:
        return None
    try:
        content = png.fewer_colors(run.folder.examples, WIDTH)
    except (OSError, ValueError):
        text = f"{run.folder.path / reading.EXAMPLES} is no picture that can be read."
        return element("p", text, class_="note")
    if not room.takes(content):
        return _left_out(run)
    alt = (
        "Test images in the first row, what the attack adds in the second, both "
        "together in the third; above each image, in green or red, what the model says"
    )
    return element("figure", png.img(content, alt, "drawn"), class_="wide")


def _left_out(run: Run) -> Html:
    text = joined("Left out to keep the page small: see ", name(run.folder.path), ".")
    return element("p", text, class_="note")


def _grid(
    run: Run,
    record: Mapping[str, Any],
    found: Mapping[str, np.ndarray],
    names: Mapping[int, str],
    room: Room,
) -> Html:
    """An item for each image: natural, perturbation, attacked, from top to bottom."""
    labels = found["label"][found["image_index"]]
    natural, attacked = found["image"], found["image_adversarial"]
    added = (attacked - natural) / (2 * record["epsilon"] or 1.0) + 0.5
    files = [
        [png.encoded(image) for image in three]
        for three in zip(natural, added, attacked, strict=True)
    ]
    if not room.takes(b"".join(file for three in files for file in three)):
        return _left_out(run)
    said = zip(
        found["image_predicted"], found["image_predicted_adversarial"], strict=True
    )
    items = [
        _item(three, int(label), answers, i, names)
        for i, (three, label, answers) in enumerate(
            zip(files, labels, said, strict=True), 1
        )
    ]
    title = f"From top to bottom: natural, perturbation ({words.ball(record)}), both"
    return joined(element("p", title, class_="hint"), plain_list(items, "images"))


def _item(
    files: Sequence[bytes],
    label: int,
    answers: tuple[int, int],
    number: int,
    names: Mapping[int, str],
) -> list[Content]:
    before, after = (_answer(int(answer), label, names) for answer in answers)
    what = f"Image {number}, {isolated(words.class_name(label, names))}"
    alts = (
        f"{what}: natural; the model says {_in_words(int(answers[0]), label, names)}",
        f"{what}: the perturbation",
        f"{what}: attacked; the model says {_in_words(int(answers[1]), label, names)}",
    )
    first, added, last = (
        png.img(file, alt) for file, alt in zip(files, alts, strict=True)
    )
    return [first, before, added, last, after]


def _in_words(answer: int, label: int, names: Mapping[int, str]) -> str:
    right = "right" if answer == label else "wrong"
    return f"{isolated(words.class_name(answer, names))}, which is {right}"


def _answer(answer: int, label: int, names: Mapping[int, str]) -> Html:
    right = answer == label
    mark = element("span", "✓ " if right else "✗ ", aria_hidden="true", class_="inline")
    said = name(words.class_name(answer, names))
    return element("span", mark, said, class_="right" if right else "wrong")
