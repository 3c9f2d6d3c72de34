"""The table of all published adversarial recipes, as docs/recipes.md has it.

python -m configs.published_at
"""

from collections.abc import Iterator, Mapping

from configs import cifar10_at, cifar100_at, imagenet_at
from configs.adversarial import Row

HEADER = (
    "| recipe | config | natural, % | AutoAttack, % | source | chosen by us | ours |",
    "|---|---|---|---|---|---|---|",
)


def table() -> str:
    """All rows of all files, in Markdown."""
    lines = [*HEADER]
    for module in (cifar100_at, cifar10_at, imagenet_at):
        lines += _rows(module.ROWS, module.__name__.split(".")[-1])
    return "\n".join(lines)


def _rows(rows: Mapping[str, Row], file: str) -> Iterator[str]:
    for name, row in rows.items():
        yield (
            f"| {row.about} | `configs/{file}.py:{name}` | {_percent(row.natural)} | "
            f"{_percent(row.robust)} | {row.source} | {row.chosen} | not run here |"
        )


def _percent(accuracy: float | None) -> str:
    return "–" if accuracy is None else f"{accuracy:.2f}"


if __name__ == "__main__":
    print(table())
