"""Checks the documentation that `make docs` has built: links, notebooks, the search.

`python tests/check_site.py site` prints what is wrong and exits with 1 if anything is.
MkDocs checks links between its pages; notebooks and the API reference come as HTML.
"""

import html.parser
import json
import pathlib
import sys
import urllib.parse
from collections.abc import Iterator

NOTEBOOKS = {"notebooks/ikl_with_nnx/": 2, "notebooks/autoattack_on_your_function/": 3}
# Words that a reader may type, and a page that must be among those that have them.
SEARCHED = {
    "AutoAttack": "robustness/", "learning_rate": "configs/", "ikl_loss": "api/losses/",
    "class means": "notebooks/ikl_with_nnx/", "Pareto": "search/",
}  # fmt: skip
ELSEWHERE = ("http:", "https:", "mailto:", "data:", "javascript:")


class Page(html.parser.HTMLParser):
    """The links of a page, the places in it, and the pictures that it holds itself."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.pictures = 0
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "img" and given.get("src", "").startswith("data:image/png"):
            self.pictures += 1
        elif tag in ("a", "link"):
            self.links.append(given.get("href", ""))
        elif tag in ("img", "script"):
            self.links.append(given.get("src", ""))


def broken_links(site: pathlib.Path) -> Iterator[str]:
    """A line for each link that leads nowhere within the site."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    for path, page in pages.items():
        if path.name == "404.html":
            continue  # its links begin at the root of the published site
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if link.startswith(ELSEWHERE) or parts.netloc:
                continue
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve()
            if not parts.path:
                target = path
            if target.is_dir():
                target /= "index.html"
            place = urllib.parse.unquote(parts.fragment)
            if not target.exists():
                yield f"{path.relative_to(site)}: {link} leads nowhere"
            elif place and target in pages and place not in pages[target].places:
                yield f"{path.relative_to(site)}: {link} has no such place"


def bad_notebooks(site: pathlib.Path) -> Iterator[str]:
    """A line for each notebook that was not executed to its end."""
    for name, pictures in NOTEBOOKS.items():
        found = Page(site / name / "index.html").pictures
        if found != pictures:
            yield f"{name} has {found} pictures and not {pictures}"


def not_found(site: pathlib.Path) -> Iterator[str]:
    """A line for each search that does not find the page that it should."""
    index = json.loads((site / "search" / "search_index.json").read_text())
    for words, wanted in SEARCHED.items():
        pages = {
            entry["location"].partition("#")[0]
            for entry in index["docs"]
            if words.lower() in f"{entry['title']} {entry['text']}".lower()
        }
        if wanted not in pages:
            yield f"a search for {words!r} does not find {wanted}"


def main(argv: list[str]) -> int:
    site = pathlib.Path(argv[1]).resolve()
    problems = [*broken_links(site), *bad_notebooks(site), *not_found(site)]
    print(
        "\n".join(problems) or f"{site}: links, notebooks and search are as they should"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
