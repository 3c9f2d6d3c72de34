"""What the README shows is run; what the docs name exists; the API is documented."""

import doctest
import importlib
import re

import pytest

from tests.conftest import ROOT


def test_the_readmes_examples():
    failures, run = doctest.testfile(
        str(ROOT / "README.md"),
        module_relative=False,
        optionflags=doctest.NORMALIZE_WHITESPACE,
    )
    assert failures == 0
    assert run >= 8


def pages_with_examples():
    pages = sorted((ROOT / "docs").glob("*.md"))
    return [page.name for page in pages if ">>> " in page.read_text()]


@pytest.mark.parametrize("page", pages_with_examples())
def test_the_examples_of_a_page(page):
    failures, run = doctest.testfile(
        str(ROOT / "docs" / page),
        module_relative=False,
        optionflags=doctest.NORMALIZE_WHITESPACE,
    )
    assert failures == 0
    assert run > 0


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


def api_reference():
    """{name shown in the API reference: name of the object behind it}."""
    entry = re.compile(
        r"^::: (?P<name>[\w.]+)(?:\n +options:\n +heading: (?P<heading>[\w.]+))?", re.M
    )
    return {
        found["heading"] or found["name"]: found["name"]
        for page in (ROOT / "docs" / "api").glob("*.md")
        for found in entry.finditer(page.read_text())
    }


@pytest.mark.parametrize(
    "module",
    [
        "ikl_jax",
        "ikl_jax.attacks",
        "ikl_jax.kernels",
        "ikl_jax.linear_head",
        "ikl_jax.models",
        "ikl_jax.verify",
    ],
)
def test_every_public_name_is_in_the_api_reference(module):
    rooms = {"attacks", "linear_head", "models", "verify"}  # a page each
    names = set(importlib.import_module(module).__all__) - rooms - {"__version__"}
    assert {f"{module}.{name}" for name in names} <= api_reference().keys()


def test_the_api_reference_shows_what_its_headings_say():
    for shown, name in api_reference().items():
        assert resolved(shown) is resolved(name), shown


def resolved(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def test_files_that_the_docs_name_exist():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for path in re.findall(
            r"\b(?<!/)(?:configs|benchmarks|examples|tests|train|ikl_jax)/[\w/]+\.py",
            # What a page tells the reader to write is in a block with its path as title.
            re.sub(r'title="[^"]*"', "", page.read_text()),
        ):
            assert (ROOT / path).is_file(), f"{page.name}: {path}"
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
