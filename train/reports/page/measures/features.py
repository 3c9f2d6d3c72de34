"""Features: distances within and between classes, and the map of natural and attacked
images."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from train.reports.page import numbers, words
from train.reports.page.charts import frame
from train.reports.page.html import (
    Content,
    Html,
    details,
    element,
    isolated,
    joined,
    table,
)
from train.reports.page.measures.found import Drawing, Found, titles
from train.reports.page.runs import COLORS

NUMBERS = {
    "within": "within classes", "between": "between classes", "ratio": "ratio",
    "nearest_mean": "right by nearest mean",
}  # fmt: skip
STATES = ("natural", "adversarial")
POINTS = 8000  # images on the maps of all runs together, at most
ROOM = 14  # pixels of the view box around the points
LONGEST = 14  # letters of a label on the map


def draw(found: Sequence[Found]) -> Html:
    """The numbers of each run, then its map."""
    heads = titles(found)
    columns = [
        (state, field)
        for state in STATES
        if any(state in each.content for each in found)
        for field in NUMBERS
    ]
    rows = [
        [title, *(_number(each, *column) for column in columns)]
        for title, each in zip(heads, found, strict=True)
    ]
    head = ["run", *(f"{NUMBERS[field]}, {state}" for state, field in columns)]
    parts: list[Content] = [table(head, rows, label="Distances of features")]
    maps = [
        (title, drawn)
        for title, each in zip(heads, found, strict=True)
        if (drawn := _map(each, POINTS // len(found))) is not None
    ]
    if len(maps) <= 2:
        parts.append(
            element("div", *(drawn for _, drawn in maps), class_="charts wide")
        )
    else:
        parts += [details(joined("Map: ", title), drawn) for title, drawn in maps]
    return joined(*parts)


def _number(each: Found, state: str, field: str) -> str:
    value = each.content.get(state, {}).get(field)
    if field == "nearest_mean":
        return numbers.percent(value)
    return "–" if value is None else numbers.short(value)


def _map(each: Found, most: int) -> Html | None:
    """The places of t-SNE, natural images as dots and attacked ones as crosses.

    Args:
      each: a record.
      most: how many images may be drawn; of more, these are evenly spread.
    """
    arrays = each.arrays("map_label", "map_natural", "map_adversarial")
    if "map_natural" not in arrays or "map_label" not in arrays:
        return None
    count = len(arrays["map_label"])
    every = -(-count // max(most, 1))
    arrays = {key: array[::every] for key, array in arrays.items()}
    labels = arrays["map_label"]
    places = {
        state: arrays[f"map_{state}"] for state in STATES if f"map_{state}" in arrays
    }
    scaled = _scaled(places)
    names = words.class_names([each.run.folder])
    of_all = "" if every == 1 else f" of {count:,}"
    title = f"Map of the features of {len(labels):,}{of_all} images"
    said = "natural images are dots"
    said += ", attacked ones crosses" if "adversarial" in places else ""
    picture = frame.svg(
        [_points(scaled, labels), list(_labels(scaled["natural"], labels, names))],
        title=title,
        description=f"{isolated(each.run.name)}: t-SNE, one colour a class, {said}",
    )
    below = element(
        "p", f"t-SNE; {said}, and a class's name is at its median.", class_="hint"
    )
    return frame.figure(joined(title), picture, below=below)


def _scaled(places: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Both groups of places `[N, 2]` in the view box, by the same scale."""
    whole = np.concatenate(list(places.values()))
    low, high = np.nanmin(whole, axis=0), np.nanmax(whole, axis=0)
    size = np.array([frame.WIDTH, frame.HEIGHT]) - 2 * ROOM
    return {
        state: ROOM + (each - low) / np.maximum(high - low, 1e-9) * size
        for state, each in places.items()
    }


def _points(places: Mapping[str, np.ndarray], labels: np.ndarray) -> Iterator[Html]:
    """A path for each class and group."""
    shapes = {"natural": ("h0", "dot"), "adversarial": ("m-2-2l4 4m0-4l-4 4", "cross")}
    for state, each in places.items():
        shape, class_ = shapes[state]
        for place, label in enumerate(np.unique(labels)):
            path = "".join(
                f"M{x:.1f} {y:.1f}{shape}" for x, y in each[labels == label].tolist()
            )
            yield element("path", class_=f"{class_} c{place % COLORS}", d=path)


def _labels(
    places: np.ndarray, labels: np.ndarray, names: Mapping[int, Any]
) -> Iterator[Html]:
    for label in np.unique(labels):
        x, y = np.median(places[labels == label], axis=0)
        text = names.get(int(label), str(label))
        short = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
        yield element(
            "text", isolated(short), x=f"{x:.1f}", y=f"{y + 4:.1f}",
            text_anchor="middle", class_="name",
        )  # fmt: skip


DRAWING = Drawing(
    "Features",
    "Mean distances of the classifier's inputs within classes and between the means of "
    "classes, and a map of both.",
    draw,
)
