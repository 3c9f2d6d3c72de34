"""What is printed: names of files and classes appear as they are, and harm no terminal.

A name may hold [brackets], which rich takes for markup, and characters that a terminal
takes for commands.
"""

import re
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

# Control characters but the tab and the newline, and bytes of names that are not UTF-8.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def shown(text: object) -> str:
    r"""The text, with escapes in place of what no terminal may receive.

    >>> shown("run\x1b[31m[lr=1]")
    'run\\x1b[31m[lr=1]'
    """
    return UNPRINTABLE.sub(
        lambda found: found[0].encode("unicode_escape").decode(), str(text)
    )


MOST_COLUMNS = 1000  # of a table that no terminal limits


class _Plain(Console):
    """Shows texts as they are.

    Attributes:
      closed: whether nobody reads the output any more; then nothing is printed.
    """

    closed = False

    def on_broken_pipe(self) -> None:
        self.closed = self.quiet = True

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(shown(text), **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich's, but names stay in one piece.

        Lines of text are not cut. A table is as wide as it needs, unless a terminal
        limits it.
        """
        if all(isinstance(each, str) for each in objects):
            options = {"soft_wrap": True, "highlight": False} | options
        elif not self.is_terminal:
            wide = self.options.update(width=MOST_COLUMNS)
            needed = max(self.measure(each, options=wide).maximum for each in objects)
            self.width = max(needed, self.width)
        super().print(*objects, **options)


def console(**options: Any) -> Console:
    """A console that shows texts as they are: without markup, without emoji codes."""
    return _Plain(markup=False, emoji=False, **options)


def warn(message: object) -> None:
    print(f"warning: {shown(message)}", file=sys.stderr)
