"""The page in a headless Chromium: three widths, light and dark, print."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from tests.support import pages
from tests.support.pages import finished, made
from tests.train.reports.page.test_measures import ARRAYS, FOUND
from train.reports.page import document
from train.reports.page.html import escaped

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH"),
]
WIDTHS = (390, 820, 1280)
MODES = {"dark": 0, "light": 1}  # Chromium's numbers for prefers-color-scheme
# Writes what the browser has measured into the page's title.
PROBE = """<script>addEventListener("load", () => setTimeout(() => {
  const wide = document.scrollingElement.scrollWidth;
  const time = performance.getEntriesByType("navigation")[0].loadEventEnd;
  document.title = `${wide} of ${innerWidth} after ${time}`;
}))</script>"""


def chromium(folder, *arguments):
    return subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
            "--hide-scrollbars", f"--user-data-dir={folder / 'profile'}", *arguments,
        ],
        capture_output=True, text=True, check=True, timeout=300,
    ).stdout  # fmt: skip


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """Five runs, one with a name of a hundred characters, and all measures."""
    folder = tmp_path_factory.mktemp("runs")
    names = ["x" * 100, "b", "c", "d", "e"]
    return made(*(measured(folder / name) for name in names))


def measured(folder, **changed):
    """A run with a record of each measure, and of one that the page does not know."""
    found = {**FOUND, "new": {"ece": 0.05, "bins": [{"confidence": 0.5}] * 10}}
    records = {"autoattack (1)": pages.autoattack()}
    for measure, numbers in found.items():
        record = pages.measured(measure, numbers)
        record["per_example"] = "evaluations/autoattack.npz"
        records[measure] = record
    given = {"records": records, "npz": pages.arrays(2000, size=32) | ARRAYS}
    return finished(folder, **given | changed)


def screenshot(folder, content, width, mode):
    page, picture = folder / "page.html", folder / "page.png"
    page.write_text(content)
    chromium(
        folder, f"--blink-settings=preferredColorScheme={MODES[mode]}",
        f"--window-size={width},2000", f"--screenshot={picture}", page.as_uri(),
    )  # fmt: skip
    return np.asarray(Image.open(picture).convert("RGB"))


def paper(mode):
    """The background of a mode, as style.css has it."""
    colors = re.findall(r"--paper: #(\w{6})", document.STYLE.read_text())
    digits = colors[0 if mode == "light" else 1]
    return [int(digits[i : i + 2], 16) for i in (0, 2, 4)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("width", WIDTHS)
def test_pictures(tmp_path, content, width, mode):
    """Not blank, in the colours of the mode, with nothing at the very edges."""
    pixels = screenshot(tmp_path, content, width, mode)
    assert pixels.shape == (2000, width, 3)
    is_paper = (pixels == paper(mode)).all(axis=-1)
    assert is_paper[[0, 0, -1, -1], [0, -1, 0, -1]].all()
    assert 0.5 < is_paper.mean() < 0.97
    margin = is_paper[:, :12].all() and is_paper[:, -12:].all()
    assert margin, "something reaches the edge of the page"
    blocks = ~is_paper[: 2000 // 100 * 100].reshape(20, 100, -1)
    assert blocks.any(axis=(1, 2)).sum() >= 17  # no long empty stretch


def probed(folder, content, width):
    """The width that the page needs, that of the window, and milliseconds to load."""
    content = content.replace(escaped(document.POLICY), "").replace(
        "</body>", f"{PROBE}</body>"
    )
    page = folder / "probe.html"
    page.write_text(content)
    dom = chromium(
        folder, f"--window-size={width},2000", "--virtual-time-budget=2000",
        "--dump-dom", page.as_uri(),
    )  # fmt: skip
    return [
        float(number)
        for number in re.search(r"<title>(\d+) of (\d+) after ([\d.]+)<", dom).groups()
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_page(tmp_path, content, width):
    # Chromium must lay out what is beyond the window, too.
    whole = content.replace("content-visibility: auto", "content-visibility: visible")
    needed, window, _ = probed(tmp_path, whole, width)
    assert needed <= window <= max(width, 500)  # a window of Chromium's is 500 or more


def test_a_page_that_is_too_wide_is_noticed(tmp_path, content):
    wide = content.replace("<main>", f"<main><pre>{'x' * 999}</pre>").replace(
        "overflow-x: auto", "overflow-x: visible"
    )
    needed, window, _ = probed(tmp_path, wide, 820)
    assert needed > window


def test_twenty_runs_open_in_a_second(tmp_path):
    folders = [
        measured(
            tmp_path / f"run_{seed}", config=pages.CONFIG | {"seed": seed},
            lines=pages.log(2000, divergence=1.0),
        )
        for seed in range(20)
    ]  # fmt: skip
    *_, milliseconds = probed(tmp_path, made(*folders), 1280)
    assert 0 < milliseconds < 1000


def test_print(tmp_path, content):
    """A printed page has what is closed on the screen."""
    page, printed = tmp_path / "page.html", tmp_path / "page.pdf"
    page.write_text(content)
    chromium(
        tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={printed}", page.as_uri()
    )
    assert printed.read_bytes().startswith(b"%PDF")
    assert printed.stat().st_size > 20_000
