"""The changes of docs/extending.md, each made in a copy and used there."""

import dataclasses
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.support.commands import environment

PAGE = (ROOT / "docs" / "extending.md").read_text()
COPIED = ("configs", "ikl_jax", "train")
# Overrides that make the page's commands shorter still.
SHORT = ["--config.epochs=1", "--config.evaluation.restarts=0"]


@dataclasses.dataclass(frozen=True)
class Change:
    """One section of the page.

    Attributes:
      files: the content of each Python block, by the path in its title.
      commands: what the section runs, one after another.
    """

    files: dict[str, str]
    commands: list[list[str]]

    @classmethod
    def of(cls, section):
        blocks = re.findall(r'```python title="(.*?)"\n(.*?)```', section, re.DOTALL)
        (command,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
        lines = command.replace("\\\n", " ").splitlines()
        return cls(dict(blocks), [shlex.split(line) for line in lines])


def changes():
    sections = re.split(r"^## How do I add a ", PAGE, flags=re.MULTILINE)[1:]
    return {section.partition("?")[0]: Change.of(section) for section in sections}


CHANGES = changes()


def copied(tmp_path):
    root = tmp_path / "copy"
    for name in COPIED:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, root / name, ignore=ignored)
    return root


def make(change, root):
    """Makes the change; returns how many files are new, and lines added elsewhere."""
    new = lines = 0
    for name, text in change.files.items():
        path = root / name
        if not path.exists():
            path.write_text(text)
            new += 1
            continue
        before = path.read_text().splitlines()
        imports = [i for i, line in enumerate(before) if line.startswith("from ")]
        before[imports[-1] + 1 : imports[-1] + 1] = text.splitlines()
        path.write_text("\n".join(before) + "\n")
        lines += len(text.splitlines())
    return new, lines


def arguments(command):
    """Those of Python; a command that trains is shortened."""
    python, *rest = command
    assert python == "python"
    return [*rest, *(SHORT if rest[:2] == ["-m", "train"] else [])]


def run(root, *arguments):
    """In the copy, whose packages come before the installed ones."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=root, capture_output=True, text=True,
        env=environment() | {"PYTHONPATH": str(root)}, timeout=300, check=False,
    )  # fmt: skip


def test_the_page_has_the_changes():
    expected = ["divergence", "data source", "model", "recipe", "measure"]
    assert [*CHANGES] == expected
    table = re.findall(r"^\| a ([\w ]+) \|.*`([\w/]+\.py)` \|$", PAGE, re.MULTILINE)
    registries = {
        kind: [name for name in change.files if (ROOT / name).exists()]
        for kind, change in CHANGES.items()
    }
    assert registries == {kind: [name] for kind, name in table}


@pytest.mark.long
@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_is_one_file_and_one_line(kind, tmp_path):
    root, change = copied(tmp_path), CHANGES[kind]
    new, lines = make(change, root)
    print(f"{kind}: {new} new file, {lines} line in another")
    assert (new, lines) == (1, 1)
    *_, last = change.commands
    before = run(ROOT, *arguments(last))
    assert before.returncode == 1
    assert "unknown" in before.stderr, "it is there without the change"
    for command in change.commands:
        done = run(root, *arguments(command))
        assert done.returncode == 0, done.stderr
    (result,) = root.glob("runs/*/result.json")
    assert '"natural_accuracy"' in result.read_text()


@pytest.mark.long
def test_a_divergence_is_in_all_recipes_at_once(tmp_path):
    root = copied(tmp_path)
    make(CHANGES["divergence"], root)
    code = (
        "from train.recipes import RECIPES, attack; print([n for n, r in "
        "RECIPES.items() if 'reverse_kl' in r.divergences], 'reverse_kl' in "
        "attack.OBJECTIVES)"
    )
    assert run(root, "-c", code).stdout.split("]") == [
        "['adversarial', 'distillation', 'fixmatch', 'mean_teacher'", " True\n",
    ]  # fmt: skip
