"""Charts: coordinates, gaps, colours that can be told apart."""

import re

import pytest

from train.reports.page import document, numbers
from train.reports.page.charts import frame, lines
from train.reports.page.charts.frame import Axis, Frame
from train.reports.page.charts.lines import Line
from train.reports.page.runs import COLORS, DASHES, SHAPES, Look

NAN = float("nan")
LOOK = Look(0, 0, 0)


def test_an_axis_maps_its_ends_to_the_ends_of_the_frame():
    axes = Frame(Axis("x", 2.0, 4.0), Axis("y", -1.0, 1.0))
    assert axes.left(2.0) == frame.LEFT
    assert axes.left(4.0) == frame.WIDTH - frame.RIGHT
    assert axes.top(-1.0) == frame.HEIGHT - frame.BOTTOM
    assert axes.top(1.0) == frame.TOP
    assert axes.top(0.0) == (frame.TOP + frame.HEIGHT - frame.BOTTOM) / 2


def test_ticks_lie_on_the_axis_and_are_few():
    for low, high in [(0, 1), (0.93, 0.94), (-3, 7e5), (1e-9, 2e-9), (5, 5), (0, 0.12)]:
        values = [value for value, _ in Axis("", low, high).ticks()]
        assert 1 <= len(values) <= 9
        assert all(low - 1e-12 <= value <= high + 1e-12 for value in values)
        assert len({numbers.tick_label(value) for value in values}) == len(values)


def test_a_line_has_a_gap_where_a_value_is_not_finite():
    points = [(0, 1.0), (1, 2.0), (2, NAN), (3, 3.0), (4, float("inf")), (5, 1.0)]
    line = Line("x", points, LOOK)
    axes = lines.frame_of([line], "step", "loss")
    (path,) = re.findall(r'class="line c0 d0" d="([^"]*)"', lines.drawn([line], axes))
    assert re.sub(r"[\d. ]+", "", path) == "MLMhMh"


def test_means_of_neighbours_with_nan_are_gaps():
    points = [(float(i), NAN if i == 7 else 1.0) for i in range(1000)]
    thinned = lines.thinned(points, 100)
    assert len(thinned) == 100
    assert 60 < len(lines.thinned(points)) <= 120
    assert [not numbers.is_number(y) for _, y in thinned].count(True) == 1


@pytest.mark.parametrize("values", [[], [NAN], [1.0], [0.0, 0.0], [-5.0, 3.0]])
def test_axes_of_anything(values):
    line = Line("x", [(float(i), y) for i, y in enumerate(values)], LOOK)
    drawn = lines.drawn([line], lines.frame_of([line], "x", "y"))
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_a_share_stays_between_0_and_1():
    line = Line("x", [(0.0, 0.01), (1.0, 0.999)], LOOK)
    axes = lines.frame_of([line], "x", "y", as_percent=True)
    assert (axes.y.low, axes.y.high) == (0.0, 1.0)


def styles():
    """Colours of light and of dark mode: {name: (red, green, blue)}."""
    text = document.STYLE.read_text()
    light, dark = re.findall(r":root \{(.*?)\n\s*\}", text, re.S)[:2]
    read = lambda block: {
        name: tuple(int(digits[i : i + 2], 16) for i in (0, 2, 4))
        for name, digits in re.findall(r"--([\w-]+): #(\w{6})\b", block)
    }
    return read(light), read(dark)


def luminance(color):
    parts = [c / 255 for c in color]
    linear = [
        c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    ]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_contrast(mode):
    """As WCAG asks: 4.5 for text, 3 for lines."""
    colors = styles()[mode]
    assert (luminance(colors["paper"]) < 0.1) == bool(mode)
    for name in ("ink", "soft", "accent", "good", "bad"):
        assert contrast(colors[name], colors["paper"]) >= 4.5, name
    assert contrast(colors["warn"], colors["warn-paper"]) >= 4.5
    for number in range(COLORS):
        assert contrast(colors[f"c{number}"], colors["paper"]) >= 3, number


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_contrast_in_coloured_tables(mode):
    text, colors = document.STYLE.read_text(), styles()[mode]
    heat = [int(n) for n in re.findall(r"--heat: (\d+), (\d+), (\d+)", text)[mode]]
    shares = {
        int(n): float(a) for n, a in re.findall(r"\.h(\d+) \{ --a: ([\d.]+)", text)
    }
    assert set(shares) == set(range(1, 11))
    for number, share in shares.items():
        cell = [
            share * h + (1 - share) * p
            for h, p in zip(heat, colors["paper"], strict=True)
        ]
        ink = colors["heat-ink" if number >= (8, 7)[mode] else "ink"]
        assert contrast(cell, ink) >= 4.4, number


def test_looks_differ_by_more_than_colour():
    text = document.STYLE.read_text()
    assert all(f".line.d{dash} {{" in text for dash in range(1, DASHES))
    assert SHAPES == COLORS  # settings of different colours have different marks
