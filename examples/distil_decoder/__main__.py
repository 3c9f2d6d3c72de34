"""Trains a teacher, or a student of it, and prints how well it predicts.

    python -m examples.distil_decoder teacher --runs=runs/decoder
    python -m examples.distil_decoder student --runs=runs/decoder --loss=ikl --seed=1

The teacher leaves the text in pieces and its answers to the training part of the text
in the folder. A finished command prints its result again.
"""

import argparse
import itertools
import json
import pathlib
import sys
import time
from typing import Any

import numpy as np

from examples.distil_decoder import model, text, training

Given = dict[str, Any]  # arguments by name
OF_BOTH = {"width": 64, "depth": 2, "steps": 1000, "learning_rate": 3e-3, "seed": 0}
DEFAULTS = {
    "teacher": OF_BOTH
    | {"width": 128, "depth": 4, "steps": 3000}
    | {"vocabulary": 2048, "length": 64, "top_k": 64, "documents": 10_000},
    "student": OF_BOTH | {"loss": "kd", "strength": 1.0, "target": "full"},
}


def teacher(folder: pathlib.Path, given: Given) -> Given:
    parts = text.parts(itertools.islice(text.documents(), given["documents"]))
    pairs = text.learned(parts["train"], given["vocabulary"])
    pieces = {name: text.encoded(part, pairs) for name, part in parts.items()}
    data = {name: text.windows(x, given["length"]) for name, x in pieces.items()}
    loss = training.loss_of("ce")
    decoder, params, result = trained(data, given["vocabulary"], {}, loss, given)
    answers = training.answers(decoder, params, data["train"], given["top_k"])
    np.savez(folder / "text.npz", pairs=pairs, **data)  # pyright: ignore
    np.savez(folder / "teacher.npz", **answers)  # pyright: ignore
    shares = np.exp(answers["values"]).mean((0, 1)).cumsum()
    kept = {str(k): float(shares[k - 1]) for k in (1, 4, 16, 64) if k <= len(shares)}
    bytes_a_piece = len(parts["test"]) / len(pieces["test"])
    return result | {"bytes_a_piece": bytes_a_piece, "probability_of_top": kept}


def student(folder: pathlib.Path, given: Given) -> Given:
    if not (folder / "teacher.json").exists():
        raise ValueError(f"{folder} has no finished teacher, which comes first")
    with np.load(folder / "text.npz") as stored:
        data = {name: stored[name] for name in ("train", "tuning", "test")}
        vocabulary = 256 + len(stored["pairs"])
    rows, make_target = {}, None
    if given["loss"] != "ce":
        with np.load(folder / "teacher.npz") as stored:
            rows, make_target = training.target(given["target"], stored)
    loss = training.loss_of(given["loss"], given["strength"], make_target)
    return trained(data, vocabulary, rows, loss, given)[-1]


def trained(
    data: dict[str, np.ndarray], vocabulary: int, rows: training.Rows,
    loss: training.Loss, given: Given,
) -> tuple[model.Decoder, Any, Given]:  # fmt: skip
    """A decoder, its parameters and its result."""
    start, length = time.monotonic(), data["train"].shape[1] - 1
    decoder = model.Decoder(vocabulary, given["width"], given["depth"], length)
    fields = {name: given[name] for name in ("steps", "learning_rate", "seed")}
    params = training.fit(decoder, data["train"], rows, loss, **fields)
    parts = ("tuning", "test")
    found = {part: training.perplexity(decoder, params, data[part]) for part in parts}
    seconds = round(time.monotonic() - start, 1)
    return decoder, params, {"perplexity": found, "seconds": seconds}


def main(arguments: list[str] | None = None) -> Given:
    parser = argparse.ArgumentParser("distil_decoder", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, defaults in DEFAULTS.items():
        flags = commands.add_parser(command)
        flags.add_argument("--runs", type=pathlib.Path, default="runs/decoder")
        for name, value in defaults.items():
            choices = ["ce", *training.DISTILLED] if name == "loss" else None
            help = f"default: {value}"
            flags.add_argument(
                f"--{name}", type=type(value), default=value, choices=choices, help=help
            )
    given = vars(parser.parse_args(arguments))
    command, folder = given.pop("command"), given.pop("runs")
    try:
        result = finished(command, folder, given)
    except (ValueError, FloatingPointError) as error:
        sys.exit(f"{parser.prog}: {error}")
    print(json.dumps(result), flush=True)
    return result


def finished(command: str, folder: pathlib.Path, given: Given) -> Given:
    """The result, of an earlier run if there is one with these arguments."""
    if given.get("loss") == "ce":
        given |= {"strength": 0.0, "target": "none"}
    name = ",".join(f"{n}={v}" for n, v in given.items() if command == "student")
    path = folder / f"{name or command}.json"
    if path.exists():
        result = json.loads(path.read_text())
        if result["given"] != given:
            raise ValueError(f"{folder} has a teacher of other arguments: {result}")
        return result
    folder.mkdir(parents=True, exist_ok=True)
    run = {"teacher": teacher, "student": student}[command]
    result = {"given": given, **run(folder, given)}
    path.with_suffix(".part").write_text(json.dumps(result))
    path.with_suffix(".part").rename(path)
    return result


if __name__ == "__main__":
    main()
