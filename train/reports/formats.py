"""Tables as text: for a terminal, and as Markdown, CSV and LaTeX."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from train.base import terminal

LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#",
    "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", "±": r"$\pm$", "ε": r"$\varepsilon$", "–": "--",
    "−": "$-$", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


class Grid(NamedTuple):
    """A table.

    Attributes:
      headings: of the columns.
      rows: of cells, as texts.
      left: number of columns that are aligned to the left.
      title: above it; empty: none.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    title: str = ""


class Page(NamedTuple):
    """Tables with sentences below them; a rich table stays one in a terminal."""

    tables: Sequence[Grid | Table]
    notes: Sequence[str] = ()

    @property
    def grids(self) -> list[Grid]:
        return [t if isinstance(t, Grid) else _of_table(t) for t in self.tables]


def _of_table(table: Table) -> Grid:
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    left = sum(column.justify == "left" for column in table.columns)
    headings = [str(column.header) for column in table.columns]
    return Grid(headings, list(zip(*columns, strict=True)), left)


def show(page: Page, console: Console) -> None:
    """Prints tables as a terminal shows them."""
    for table in page.tables:
        console.print(table if isinstance(table, Table) else _drawn(table))
    for note in page.notes:
        console.print(note)


def table_text(page: Page) -> str:
    """As `show`, in a file."""
    out = io.StringIO()
    show(page, terminal.console(file=out))
    return out.getvalue()


def _drawn(grid: Grid) -> Table:
    drawn = Table(title=grid.title or None, title_justify="left")
    for number, heading in enumerate(grid.headings):
        justify = "left" if number < grid.left else "right"
        drawn.add_column(heading, justify=justify, overflow="fold")
    for row in grid.rows:
        drawn.add_row(*row)
    return drawn


def markdown(page: Page) -> str:
    """Pipe tables, and a list of the notes."""
    parts = []
    for grid in page.grids:
        heads = [_for_markdown(heading) for heading in grid.headings]
        rule = ["---"] * grid.left + ["---:"] * (len(heads) - grid.left)
        lines = [heads, rule, *([_for_markdown(cell) for cell in r] for r in grid.rows)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        title = f"**{_for_markdown(grid.title)}**\n\n" if grid.title else ""
        parts.append(title + table)
    if page.notes:
        parts.append("\n".join(f"- {_for_markdown(note)}" for note in page.notes))
    return "\n\n".join(parts) + "\n"


def latex(page: Page) -> str:
    r"""Tables with the rules of the package booktabs; the notes are comments."""
    parts = []
    for grid in page.grids:
        columns = "l" * grid.left + "r" * (len(grid.headings) - grid.left)
        lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
        lines += [_latex_row(grid.headings), r"\midrule"]
        lines += [_latex_row(row) for row in grid.rows]
        lines += [r"\bottomrule", r"\end{tabular}"]
        title = [f"% {_one_line(grid.title)}"] if grid.title else []
        parts.append("\n".join([*title, *lines]))
    if page.notes:
        parts.append("\n".join(f"% {_one_line(note)}" for note in page.notes))
    return "\n\n".join(parts) + "\n"


def csv_text(page: Page) -> str:
    """The first table with commas between the cells; the notes are left out."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    grid = page.grids[0]
    writer.writerow([_one_line(heading) for heading in grid.headings])
    writer.writerows([_one_line(cell) for cell in row] for row in grid.rows)
    return out.getvalue()


# What `--format` offers, by name.
TEXTS: dict[str, Callable[[Page], str]] = {
    "table": table_text, "markdown": markdown, "latex": latex, "csv": csv_text,
}  # fmt: skip


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _for_markdown(text: str) -> str:
    """A text in which no character is Markdown's or HTML's."""
    escaped = re.sub(r"([\\|*_`\[\]])", r"\\\1", _one_line(text))
    return escaped.replace("<", "&lt;").replace(">", "&gt;")


def _latex_row(cells: Sequence[str]) -> str:
    shown = ("".join(LATEX.get(each, each) for each in _one_line(c)) for c in cells)
    return rf"{' & '.join(shown)} \\"
