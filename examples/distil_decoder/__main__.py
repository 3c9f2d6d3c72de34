"""Trains a teacher, or a student of it, and prints how well it predicts.

    python -m examples.distil_decoder teacher --runs=runs/decoder
    python -m examples.distil_decoder student --runs=runs/decoder --loss=ikl --seed=1

The teacher leaves the text in pieces and its answers to the training part of the text
in the folder.
"""

import argparse
import itertools
import json
import pathlib
import sys
from typing import Any

import numpy as np

from examples.distil_decoder import text, training

SIZE = {"width": 64, "depth": 2, "steps": 1000, "learning_rate": 3e-3, "seed": 0}
TEXT = {"vocabulary": 2048, "length": 64, "documents": 10_000}
DEFAULTS = {
    "teacher": SIZE | {"width": 128, "depth": 4, "steps": 3000} | TEXT | {"top_k": 64},
    "student": SIZE | {"loss": "kd", "strength": 1.0, "target": "full"},
}


def teacher(
    folder: pathlib.Path, *, vocabulary: int, length: int, documents: int, top_k: int,
    **size: Any,
) -> dict[str, float]:  # fmt: skip
    parts = text.parts(itertools.islice(text.documents(), documents))
    pairs = text.learned(parts["train"], vocabulary)
    pieces = {name: text.encoded(part, pairs) for name, part in parts.items()}
    data = {name: text.windows(x, length) for name, x in pieces.items()}
    loss = training.loss_of("ce", 0.0, None)
    decoder, params = training.fit(data["train"], vocabulary, loss, {}, **size)
    answers = training.answers(decoder, params, data["train"], top_k)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "teacher.npz", **data, **answers)  # pyright: ignore
    return training.perplexities(decoder, params, data)


def student(
    folder: pathlib.Path, *, loss: str, strength: float, target: str, **size: Any
) -> dict[str, float]:
    if not (path := folder / "teacher.npz").exists():
        raise ValueError(f"{folder} has no finished teacher, which comes first")
    with np.load(path) as stored:
        data = {name: stored[name] for name in ("train", "tuning", "test")}
        vocabulary, rows, make_target = stored["kernel"].shape[-1], {}, None
        if loss != "ce":
            rows, make_target = training.target(target, stored)
    total = training.loss_of(loss, strength, make_target)
    decoder, params = training.fit(data["train"], vocabulary, total, rows, **size)
    return training.perplexities(decoder, params, data)


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser("distil_decoder", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for command, run in {"teacher": teacher, "student": student}.items():
        flags = commands.add_parser(command)
        flags.set_defaults(run=run)
        flags.add_argument("--runs", type=pathlib.Path, default="runs/decoder")
        for name, value in DEFAULTS[command].items():
            choices = ["ce", *training.DISTILLED] if name == "loss" else None
            flags.add_argument(
                f"--{name}", type=type(value), default=value, choices=choices,
                help=f"default: {value}",
            )  # fmt: skip
    given = vars(parser.parse_args(arguments))
    try:
        result = given.pop("run")(given.pop("runs"), **given)
    except (ValueError, FloatingPointError) as error:
        sys.exit(f"{parser.prog}: {error}")
    print(json.dumps(result), flush=True)
    return result


if __name__ == "__main__":
    main()
