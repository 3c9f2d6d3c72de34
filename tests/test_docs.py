"""What the README shows, run."""

import doctest
import re

from tests.conftest import ROOT


def test_the_readmes_examples():
    failures, run = doctest.testfile(
        str(ROOT / "README.md"),
        module_relative=False,
        optionflags=doctest.NORMALIZE_WHITESPACE,
    )
    assert failures == 0
    assert run >= 8


def test_every_public_name_is_documented():
    import ikl_jax

    text = (ROOT / "docs" / "losses.md").read_text()
    for name in ikl_jax.__all__:
        value = getattr(ikl_jax, name)
        if name.startswith("__"):
            continue
        assert value.__doc__, name
        if callable(value):
            assert name in text, name


def test_files_that_the_docs_name_exist():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for path in re.findall(
            r"\b(?<!/)(?:configs|benchmarks|tests|train|ikl_jax)/[\w/]+\.py",
            page.read_text(),
        ):
            assert (ROOT / path).is_file(), f"{page.name}: {path}"
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
