"""`python -m train.evaluate`, called within the tests."""

import json

from train import evaluate

AUTOATTACK = ("--attack=autoattack", "--num_examples=40", "--epsilon=0.02")
ONE = (*AUTOATTACK, "--version=apgd-ce", "--nopicture")


def judge(*arguments):
    return evaluate.main(["evaluate", *map(str, arguments)])


def evaluations(workdir):
    return json.loads((workdir / "evaluation.json").read_text())
