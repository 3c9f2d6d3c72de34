"""Command lines and damaged files, drawn from seeds, and what a command may do then."""

import contextlib
import io
import json
import pathlib
import random
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.conftest import ROOT
from train.base import config

LIMIT = 60.0  # seconds that a refusal may take
OPTIONS = (
    "", ":", ":quick", ":natural,quick", ":quikc", ":quick=1", ":loss=", ":loss=kl,quick",
    ":basic", ":,", ":=", ":teacher", ":strength=x", ":a=b=c", ":quick,quick", ":[x]",
)  # fmt: skip
CONFIGS = (
    "digits_ikl_at", "digits_ikl_at", "digits_ikl_at", "digits_distill", "base",
    "fashion_mnist_at", "fashion_mnist_distill", "fashion_mnist_ablation", "cifar100_at",
    "cifar10_at", "imagenet_at", "imagenet_distill", "nowhere", "published_at",
    "adversarial", "../README.md",
)  # fmt: skip
VALUES = (
    "", "0", "1", "-1", "2", "3.5", "0.5", "nan", "-nan", "inf", "-inf", "1e999", "1e-999",
    "2147483648", "-99999999999999999999", "8/255", "1/0", "8", "True", "false", "None",
    "none", "()", "(1,)", "1,2", "a,b", "(0.5,),(0.5,)", "((1,2),(3,))", "[1", "{}", "{1:2}",
    "'x", "..", "~nobody/x", "gs:/x", "ftp://a/b", "[red]", "é", "0x10", "1_000", " 3", "=",
    "x" * 300, "tfds:", "npz:/nowhere", "npz:", "folder:/nowhere", "idx:", "cifar10:/nowhere",
    "digits:x", "digits", "cnn", "cnn_0", "cnn_4", "wide_resnet_10_1", "wide_resnet_11_1",
    "resnet18", "ikl", "kl", "gkl", "sgd", "adamw", "linf", "l2", "l1", "step", "epoch",
    "batch", "uniform", "natural", "class_means", "sample", "supervised", "distillation",
    "adversarial", "bfloat16", "skip", "validation", "\x1b[31m", "*", "a b", "-",
)  # fmt: skip


class Ended(NamedTuple):
    """How a command ended: its code, or what it raised; stderr; seconds."""

    code: int | BaseException
    error: str
    seconds: float

    def problem(self) -> str:
        """What is wrong with this end; "" if nothing is."""
        lines = self.error.splitlines()
        if isinstance(self.code, BaseException):
            return f"raised {type(self.code).__name__}: {self.code}"
        if self.code not in (0, 1, 2):
            return f"exit code {self.code}"
        if any(not line.startswith(("error: ", "warning: ")) for line in lines):
            return f"other lines on stderr: {self.error[:300]}"
        errors = [line for line in lines if line.startswith("error: ")]
        if len(errors) != (self.code != 0) or "Traceback" in self.error:
            return f"code {self.code} with {len(errors)} sentences: {self.error[:300]}"
        if any(not line.removeprefix("error: ").strip() for line in errors):
            return "an empty sentence"
        return f"{self.seconds:.0f} seconds" if self.seconds > LIMIT else ""


def ended(main: Callable[[list[str]], int], argv: list[str]) -> Ended:
    """Runs a command in this process."""
    out, error, start = io.StringIO(), io.StringIO(), time.monotonic()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            code = main(argv)
        except (Exception, SystemExit, KeyboardInterrupt) as raised:
            code = raised
    return Ended(code, error.getvalue(), time.monotonic() - start)


def training(draw: random.Random, folder: pathlib.Path) -> list[str]:
    """A command line of `python -m train`, which names workdirs in `folder`."""
    name = draw.choice(CONFIGS)
    flags = [f"--config={ROOT}/configs/{name}.py{draw.choice(OPTIONS)}"]
    if draw.random() < 0.7:  # a config that is right, so that what follows is looked at
        flags = [f"--config={ROOT}/configs/digits_ikl_at.py:natural,quick"]
    flags.append(f"--workdir={folder / str(draw.random())}")
    names = [*config.names()]
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3))):
        flags.append(f"--config.{draw.choice(names)}={draw.choice(VALUES)}")
    if draw.random() < 0.1:
        other = (
            "plan", "platform", "topology", "fit", "memory", "tflops", "peak_share",
            "process_id", "coordinator",
        )  # fmt: skip
        flags.append(f"--{draw.choice(other)}={draw.choice(VALUES)}")
    return _mistyped(draw, flags)


def evaluating(draw: random.Random, folder: pathlib.Path) -> list[str]:
    """A command line of `python -m train.evaluate`."""
    names = (
        "workdir", "weights", "source", "model", "norm", "epsilon", "steps", "restarts",
        "relative_step_size", "num_examples", "version", "seed", "picture", "attack",
        "config", "config.evaluation.steps", "config.data.source", "config.mesh",
        "config.optimizer.momentum", "config.evaluation.every", "measure", "bins",
        "temperature",
    )  # fmt: skip
    given = (
        str(folder / "run"),
        "last",
        "best",
        "autoattack",
        "pgd",
        "standard",
        "calibration,classes",
        *VALUES,
    )
    flags = [f"--workdir={folder / 'run'}"] * (draw.random() < 0.7)
    for _ in range(draw.choice((0, 1, 1, 2, 3))):
        flags.append(f"--{draw.choice(names)}={draw.choice(given)}")
    return _mistyped(draw, flags)


def converting(draw: random.Random, folder: pathlib.Path) -> list[str]:
    """A command line of `train.convert`, `train.convert_synthetic` or `train.compare`."""
    names = (
        "weights", "model", "output", "mean", "std", "class_names", "parts",
        "num_classes", "examples_per_shard", "runs",
    )  # fmt: skip
    given = (str(folder), str(folder / "a.npz"), *VALUES)
    count = draw.choice((1, 2, 3, 4))
    flags = [f"--{draw.choice(names)}={draw.choice(given)}" for _ in range(count)]
    return _mistyped(draw, flags)


def exporting(draw: random.Random, folder: pathlib.Path) -> list[str]:
    """A command line of `train.export`."""
    flags = [f"--output={folder / str(draw.random())}"] * (draw.random() < 0.9)
    workdir = draw.choice((str(folder / "run"), str(folder), *VALUES))
    flags += [f"--workdir={workdir}"] * (draw.random() < 0.9)
    for _ in range(draw.choice((0, 1, 1, 2))):
        flags.append(f"--{draw.choice(('weights', 'license'))}={draw.choice(VALUES)}")
    return _mistyped(draw, flags)


def labelling(draw: random.Random, folder: pathlib.Path) -> list[str]:
    """A command line of `train.pseudo_label`."""
    flags = [f"--output={folder / str(draw.random())}.npz"] * (draw.random() < 0.9)
    workdir = draw.choice((str(folder / "run"), str(folder), *VALUES))
    flags += [f"--workdir={workdir}"] * (draw.random() < 0.9)
    names = ("images", "source", "threshold", "weights")
    for _ in range(draw.choice((0, 1, 1, 2))):
        flags.append(f"--{draw.choice(names)}={draw.choice(VALUES)}")
    return _mistyped(draw, flags)


def _mistyped(draw: random.Random, flags: list[str]) -> list[str]:
    """The flags in another order, or with a letter more, less or another."""
    if draw.random() < 0.15 and flags:
        place = draw.randrange(len(flags))
        flag = flags[place]
        # Paths stay, so that nothing is written outside of their folder.
        at = draw.randrange(flag.index("=") - 1 if "=/" in flag else len(flag))
        change = draw.choice(("drop", "double", "swap", "flag", "again", "last"))
        flags[place] = {
            "drop": flag[:at] + flag[at + 1 :],
            "double": flag[:at] + flag[at] + flag[at:],
            "swap": flag[:at] + flag[at + 1 : at + 2] + flag[at] + flag[at + 2 :],
            "flag": flag.partition("=")[0],
            "again": flag,
            "last": flag,
        }[change]
        if change == "again":
            flags.append(flag)
        if change == "last":
            flags.append(
                draw.choice(("--help", "word", "-x", "--", "---", "--flagfile=/x"))
            )
    return flags


def damages(
    draw: random.Random, path: pathlib.Path
) -> Iterator[tuple[str, bytes | None]]:
    """What may have become of a file: a name for it, and the content; None: it is gone."""
    content = path.read_bytes()
    yield "gone", None
    yield "empty", b""
    yield "cut", content[: draw.randrange(max(len(content), 1))]
    yield (
        "foreign",
        draw.choice((b"\x89PNG\r\n\x1a\n", b"PK\x03\x04junk", b"\x93NUMPY\x01")),
    )
    for _ in range(3):
        changed = bytearray(content or b"\0")
        for _ in range(draw.choice((1, 1, 8))):
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        yield "flipped", bytes(changed)
    if path.suffix in (".json", ".jsonl") or content[:1] == b"{":
        for other in (
            "[1, 2]",
            "3",
            "null",
            '"a"',
            "{}",
            '{"a": {"b": [NaN]}}',
            "[" * 9999,
        ):
            yield "other JSON", other.encode()
        yield from _changed_json(draw, content)


def _changed_json(draw: random.Random, content: bytes) -> Iterator[tuple[str, bytes]]:
    """A field that is gone, or holds something of another kind, at any depth."""
    for value in (None, "x", -1, 1e300, float("nan"), [], {}, True, 2**40):
        try:
            tree = json.loads(content)
        except ValueError:
            return  # lines of metrics
        node = tree
        while isinstance(node, dict) and node:
            name = draw.choice(sorted(node))
            if not (
                isinstance(node[name], dict) and node[name] and draw.random() < 0.7
            ):
                break
            node = node[name]
        if isinstance(node, dict) and node:
            if value is None:
                del node[name]
            else:
                node[name] = value
        yield "changed JSON", json.dumps(tree).encode()
