"""The results of `benchmarks/accelerator.py`: one JSON file, and a page of tables.

Both are written again with every row, each as a whole, so that a run that is cut off at
any moment leaves all that was measured.
"""

import json
import pathlib
from typing import Any

from benchmarks.support import goals


class Results:
    """What was measured so far, and the two files that say so."""

    def __init__(self, folder: pathlib.Path, **about: Any) -> None:
        """Makes the folder; `about` is kept at the top of the file."""
        folder.mkdir(parents=True, exist_ok=True)
        self.json, self.page = folder / "accelerator.json", folder / "accelerator.md"
        self.content: dict[str, Any] = {**about, "stages": {}, "goals": []}

    def begin(self, letter: str, title: str, budget: float) -> dict[str, Any]:
        """The entry of a stage, to be filled and saved."""
        entry = {
            "title": title, "status": "running", "budget_s": round(budget, 1),
            "seconds": None, "error": None, "notes": [], "tables": {},
        }  # fmt: skip
        self.content["stages"][letter] = entry
        return entry

    def save(self) -> None:
        tables: dict[str, list[dict[str, Any]]] = {}
        for entry in self.content["stages"].values():
            tables |= entry["tables"]
        rehearsed = self.content.get("rehearsal", False)
        self.content["goals"] = goals.judge(tables, rehearsed)
        _replace(self.json, json.dumps(self.content, indent=1) + "\n")
        _replace(self.page, page(self.content))


def _replace(path: pathlib.Path, text: str) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text)
    temporary.replace(path)


def page(content: dict[str, Any]) -> str:
    """The results in Markdown."""
    lines = ["# Measured on an accelerator", ""]
    if content.get("rehearsal"):
        lines += ["A rehearsal with tiny sizes: its times say nothing.", ""]
    lines += [f"`{content.get('command', '')}`, {content.get('started', '')}", ""]
    if content["goals"]:
        lines += ["## Goals", "", table(content["goals"]), ""]
    for letter, entry in content["stages"].items():
        seconds = entry["seconds"]
        took = "" if seconds is None else f", {seconds:.0f} s"
        lines += [f"## {letter}. {entry['title']}", ""]
        lines += [f"{entry['status']}{took} of {entry['budget_s']:g} s", ""]
        if entry["error"]:
            lines += [f"Error: {entry['error']}", ""]
        for name, rows in entry["tables"].items():
            lines += [f"{name}:", "", table(rows), ""]
        lines += [f"- {note}" for note in entry["notes"]]
        lines += [""] if entry["notes"] else []
    return "\n".join(lines)


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as Markdown; the columns are all names, in the order of their first row."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [" | ".join(names), "|".join("---" for _ in names)]
    lines += [" | ".join(cell(row.get(name)) for name in names) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def cell(value: Any) -> str:
    """A value with four digits; "–" for what there is not."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
    return str(value).replace("|", "\\|").replace("\n", " ")
