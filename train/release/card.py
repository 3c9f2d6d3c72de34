"""The model card: what the weights are, how good they are, and how to use them."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import jax

import ikl_jax
from train.evaluation import records
from train.evaluation.target import Target, weights_checksum
from train.experiment import finished, settings
from train.recipes import RECIPES
from train.release import reading
from train.release.network import Released
from train.reports.rows import Row, rows

# Fields of the config that are paths on the machine that trained.
_PLACES = (
    ("data", "source"), ("data", "data_dir"), ("data", "synthetic"),
    ("data", "train_list"), ("data", "label_list"), ("model", "initial_weights"),
    ("teacher", "path"), ("teacher", "cache"),
)  # fmt: skip


def text(
    target: Target, released: Released, licence: str, written: Sequence[str]
) -> str:
    """The card, as Markdown with a header that model hubs read.

    Args:
      target: the weights and their data.
      released: the network that was written.
      licence: of the weights.
      written: names of the files beside the card.
    """
    trained = settings.load(target.workdir)
    config = public(json.loads(trained.to_json()))
    checksum = weights_checksum(target.weights)
    parts = [
        _header(licence),
        f"# {config['name']}",
        f"`{released.name}`, {released.num_classes} classes: {target.name} "
        f"(checksum {checksum}), in {target.config.model.dtype}.",
        "## Data",
        *_data(config, released),
        "## Recipe",
        *_recipe(config),
        "## Accuracy",
        *_accuracy(target, checksum),
        "## Preprocessing",
        *_preprocessing(config, released),
        "## How to read the files",
        reading.text(released, written),
        "## Licence",
        f"{licence}" if licence != "unknown" else "Not stated.",
        "## Versions",
        f"Exported by ikl_jax {ikl_jax.__version__} with JAX {jax.__version__}.",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def public(config: dict[str, Any]) -> dict[str, Any]:
    """A config with only the last part of each path: no folder of a machine."""
    config = {**config}
    for section, field in _PLACES:
        value = config.get(section, {}).get(field)
        if isinstance(value, str) and "/" in value:
            kind, separator, _ = value.partition(":")
            head = f"{kind}:" if separator and "/" not in kind else ""
            last = value.rstrip("/").split("/")[-1]
            config[section] = {**config[section], field: f"{head}{last}"}
    return config


def _header(licence: str) -> str:
    return (
        f"---\nlicense: {json.dumps(licence)}\nlibrary_name: jax\n"
        "pipeline_tag: image-classification\ntags:\n- jax\n- ikl_jax\n---"
    )


def _data(config: dict[str, Any], released: Released) -> Iterator[str]:
    data = config["data"]
    synthetic = f", with the generated images {data['synthetic']}"
    yield (
        f"Trained on `{data['source']}`, the part `{data['train_split']}`"
        f"{synthetic if data['synthetic'] else ''}; evaluated on "
        f"`{data['evaluate_on']}`."
    )
    names = released.class_names
    if names is None:
        yield "The classes have no names; their order is that of the labels."
    else:
        yield f"The classes, in the order of the logits: {', '.join(names)}."


def _recipe(config: dict[str, Any]) -> Iterator[str]:
    loss, optimizer = config["loss"], config["optimizer"]
    divergence = (
        f" with the loss `{loss['name']}` (alpha {loss['alpha']}, beta {loss['beta']})"
    )
    if not RECIPES[config["recipe"]].divergences:  # its loss is the cross-entropy alone
        divergence = ""
    yield (
        f"The recipe `{config['recipe']}`{divergence}, {config['epochs']} epochs of "
        f"batches of {config['batch_size']}, `{optimizer['name']}` with learning rate "
        f"{optimizer['learning_rate']}, seed {config['seed']}."
    )
    content = json.dumps(config, indent=2, sort_keys=True)
    yield (
        "<details><summary>The whole config</summary>\n\n"
        f"```json\n{content}\n```\n\n</details>"
    )


def _accuracy(target: Target, checksum: str) -> Iterator[str]:
    """Everything that was measured on exactly these weights."""
    result = finished.read(target.workdir)
    found = rows(target.name, result, records.read(target.workdir).values())
    of_these = [
        row for row in found if row.records[0].get("weights_checksum") == checksum
    ]
    if not of_these:
        yield (
            "Not measured on these weights. `python -m train.evaluate` measures it, "
            "and a new export shows it."
        )
    for row in of_these:
        yield f"On {row.data}:\n\n{_table(row)}"


def _table(row: Row) -> str:
    lines = ["| attack | accuracy | examples |", "|---|---|---|"]
    natural = row.natural
    lines.append(_line("none", natural["natural_accuracy"], natural))
    for column, entries in row.robust().items():
        for record, accuracy in entries:
            step = column.relative_step_size
            lines.append(
                _line(
                    f"{column.attack}, {record['norm']}, epsilon {column.epsilon:.6g}"
                    + ("" if step is None else f", steps of {step:.6g} epsilon")
                    + (f", seed {record['seed']}" if "seed" in record else ""),
                    accuracy,
                    record,
                )
            )
    return "\n".join(lines)


def _line(attack: str, accuracy: float, record: Any) -> str:
    return f"| {attack} | {100 * accuracy:.2f}% | {record['num_examples']} |"


def _preprocessing(config: dict[str, Any], released: Released) -> Iterator[str]:
    height, width, channels = released.image_shape
    yield (
        f"Images of {height} x {width} pixels and {channels} "
        f"channel{'s' if channels > 1 else ''}, each value divided by 255: in [0, 1]."
    )
    if size := config["data"].get("image_size"):
        shorter = config["data"]["resize_shorter"]
        yield (
            f"The shorter side is resized to {shorter} pixels, then the {size} x "
            f"{size} in the centre are cut out."
        )
    if released.normalize is None:
        yield "The network does not normalise them."
    else:
        mean, deviation = released.normalize
        yield (
            f"The network itself subtracts the mean {mean} and divides by the "
            f"deviation {deviation} of each channel: do not normalise them before."
        )
