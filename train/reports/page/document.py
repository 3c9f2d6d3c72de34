"""The whole page."""

import datetime
import pathlib
from collections.abc import Sequence

from train.reports.page import summary
from train.reports.page.html import Html, element, isolated, joined, name
from train.reports.page.measures import sections as measures
from train.reports.page.runs import Run
from train.reports.page.sections import (
    commands,
    config,
    curves,
    environment,
    images,
    results,
    robustness,
)
from train.reports.page.sections.commands import Defaults

STYLE = pathlib.Path(__file__).with_name("style.css")
# What the page may load: its own styles and images, and nothing from anywhere else.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(
    runs: Sequence[Run],
    *,
    now: datetime.datetime,
    defaults: Defaults,
    notes: Sequence[str] = (),
) -> str:
    """The page as HTML.

    Args:
      runs: one or more.
      now: when it is made.
      defaults: of the configs that the commands begin with.
      notes: what is said before everything else.
    """
    parts = {
        "results": ("Results", results.draw(runs)),
        "curves": ("Training", curves.draw(runs)),
        "epsilon": ("Against epsilon", robustness.draw(runs)),
        "images": ("Images", images.draw(runs)),
        "measures": ("Measures", measures.draw(runs)),
        "config": ("Config", config.draw(runs)),
        "environment": ("Environment", environment.draw(runs)),
        "commands": ("Commands", commands.draw(runs, defaults)),
    }
    shown = {anchor: part for anchor, part in parts.items() if part[1] is not None}
    links = [element("a", title, href=f"#{key}") for key, (title, _) in shown.items()]
    body = element(
        "body",
        element(
            "header",
            element("h1", _title(runs)),
            (element("p", note, class_="note") for note in notes),
            summary.draw(runs, now),
        ),
        element("nav", *links, aria_label="Sections"),
        element("main", *(drawn for _, drawn in shown.values())),
        _footer(now),
    )
    return f"<!doctype html>\n{element('html', _head(runs), body, lang='en')}\n"


def _title(runs: Sequence[Run]) -> Html:
    if len(runs) == 1:
        return name(runs[0].name)
    if len(runs) == 2:
        return joined(name(runs[0].name), " and ", name(runs[1].name))
    return joined(f"{len(runs)} runs")


def _head(runs: Sequence[Run]) -> Html:
    title = isolated(runs[0].name) if len(runs) == 1 else f"{len(runs)} runs"
    style = STYLE.read_text()
    assert "</" not in style
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} · ikl_jax report"),
        Html(f"<style>{style}</style>"),
    )


def _footer(now: datetime.datetime) -> Html:
    when = now.strftime("%Y-%m-%d %H:%M UTC")
    return element("footer", element("p", f"Made by train.report of ikl_jax, {when}."))
