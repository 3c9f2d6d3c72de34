"""Command lines of `train.evaluate` that are refused, each with its sentence."""

import re

import numpy as np

from tests.support.evaluations import AUTOATTACK, ONE, judge
from train.networks import converted


def bad_calls(workdir, path):
    return {
        "nothing": ((), 2, "--workdir is required, or --weights=FILE"),
        "a source of a run": (
            (f"--workdir={workdir}", "--source=digits"), 1, "--source is for --weights=FILE",
        ),
        "a field of a run": (
            (f"--workdir={workdir}", "--config.attack.steps=3"), 1,
            "config.attack.steps is the run's own: an evaluation can change mesh, ",
        ),
        "another model": (
            (f"--weights={path}", "--model=wide_resnet_10_1"), 1,
            "--model=wide_resnet_10_1, but .* holds weights of cnn",
        ),
        "torch's file": (("--weights=a.pt",), 1, "python -m train.convert makes one"),
        "no file": (("--weights=none.npz",), 1, "none.npz cannot be read"),
        "other classes": (
            (f"--weights={path}", "--source=digits"), 1, "has 7 classes, digits has 10",
        ),
        "steps": (
            (f"--workdir={workdir}", *ONE, "--steps=3"), 1, "--steps is for --attack=pgd",
        ),
        "a version of PGD": (
            (f"--workdir={workdir}", "--version=apgd"), 1,
            "--version is for --attack=autoattack, not for --attack=pgd",
        ),
        "version": (
            (f"--workdir={workdir}", *AUTOATTACK, "--version=standrad"), 1,
            "unknown version 'standrad'",
        ),
        "randomised": (
            (f"--workdir={workdir}", *AUTOATTACK, "--version=rand"), 1,
            "unknown version 'rand'",
        ),
        "attack": (
            (f"--workdir={workdir}", *AUTOATTACK, "--version=apgd-ce,sqare"), 1,
            "unknown attack 'sqare'",
        ),
        "epsilon": ((f"--workdir={workdir}", *ONE, "--epsilon=0"), 1, "epsilon must be > 0"),
        "pixels": (
            (f"--workdir={workdir}", "--epsilon=8"), 1,
            r"epsilon is a radius in pixels of \[0, 1\].* got 8; did you mean 8/255",
        ),
        "not a number": (
            (f"--workdir={workdir}", "--epsilon=nan"), 1,
            "--epsilon must be a finite number, got nan",
        ),
        "large": (
            (f"--workdir={workdir}", "--seed=9999999999"), 1, "--seed must be at most 2147483647",
        ),
        "no attack": (
            (f"--workdir={workdir}", "--restarts=0", "--steps=3", "--norm=l2"), 1,
            "--norm and --steps would have no effect: with restarts=0 no attack",
        ),
        "a picture of PGD": (
            (f"--workdir={workdir}", "--nopicture"), 1,
            "--picture is for --attack=autoattack or --measure=.*, not for --attack=pgd",
        ),
        "a field of PGD": (
            (f"--workdir={workdir}", *ONE, "--config.evaluation.steps=3"), 1,
            "--config.evaluation.steps is for --attack=pgd or --measure=.*, not for "
            "--attack=autoattack",
        ),
        "a measure": (
            (f"--workdir={workdir}", "--measure=clases"), 1, "unknown measure 'clases'",
        ),
        "a measure and an attack": (
            (f"--workdir={workdir}", "--measure=classes", "--attack=pgd"), 1,
            "--attack and --measure cannot be given together",
        ),
        "a measure by several processes": (
            (f"--workdir={workdir}", "--measure=classes", "--distributed"), 1,
            "--distributed is for an attack, .*: --measure runs in one process",
        ),
        "a measure's flag of another one": (
            (f"--workdir={workdir}", "--measure=classes", "--bins=3"), 1,
            "--bins is for --measure=calibration, not for --measure=classes",
        ),
        "a measure's flag of an attack": (
            (f"--workdir={workdir}", "--bins=3"), 1,
            "--bins is for --measure=calibration, not for --attack=pgd",
        ),
        "an attack's flag of a measure": (
            (f"--workdir={workdir}", "--measure=calibration", "--steps=3"), 1,
            "--steps is for --attack=pgd or --measure=.*, not for --measure=calibration",
        ),
        "a value of a measure's flag": (
            (f"--workdir={workdir}", "--measure=calibration", "--bins=0"), 1,
            "bins must be > 0, got 0",
        ),
        "no other images": (
            (f"--workdir={workdir}", "--measure=ood"), 1, "--measure=ood needs --ood",
        ),
        "the same images": (
            (f"--workdir={workdir}", "--measure=ood", "--ood=digits"), 1,
            "--ood=digits holds the evaluated images themselves",
        ),
        "other images that are not there": (
            (f"--workdir={workdir}", "--measure=ood", "--ood=npz:none.npz"), 1,
            "none.npz",
        ),
        "no validation part": (
            (f"--workdir={workdir}", "--measure=calibration", "--temperature=fit"), 1,
            "--temperature=fit needs a validation part, and no examples were held out",
        ),
        "a field of training": (
            (f"--workdir={workdir}", "--config.evaluation.every=3"), 1,
            "config.evaluation.every is the run's own",
        ),
        "a field without effect": (
            (f"--weights={path}", "--config.optimizer.momentum=5"), 1,
            "--config.optimizer.momentum has no effect with --weights=FILE",
        ),
    }  # fmt: skip


def test_bad_calls(workdir, tmp_path, capsys):
    path = tmp_path / "few.npz"
    kernel = {"params": {"kernel": np.zeros((2, 7), np.float32)}, "batch_stats": {}}
    converted.write(path, converted.Converted("cnn", 7, None, kernel))
    for name, (arguments, code, message) in bad_calls(workdir, path).items():
        assert judge(*arguments) == code, name
        assert re.search(message, capsys.readouterr().err), name
