"""`python -m train.evaluate`, called within the tests."""

import json

from train import evaluate
from train.base.files import growing
from train.evaluation import journal
from train.evaluation.autoattack import verdicts

AUTOATTACK = ("--attack=autoattack", "--num_examples=40", "--epsilon=0.02")
ONE = (*AUTOATTACK, "--version=apgd-ce", "--nopicture")


def judge(*arguments):
    return evaluate.main(["evaluate", *map(str, arguments)])


def evaluations(workdir):
    return json.loads((workdir / "evaluation.json").read_text())


def journalled(path):
    """The records of AutoAttack that a journal holds; no records where there is none."""
    if not path.exists():
        return []
    parts, _ = growing._unpacked(path.read_bytes())
    return [verdicts.record_of(journal._unpacked(part)) for part in parts[1:]]
