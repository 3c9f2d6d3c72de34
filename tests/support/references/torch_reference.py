"""The golden data's weights: drawn by torch name, as torch shapes them."""

import json
import pathlib
import zlib

import numpy as np

GOLDEN = pathlib.Path(__file__).parents[2] / "golden"
# The networks of the published recipes, and those that `networks_reference.py` records.
RECIPES, OTHERS = (
    json.loads((GOLDEN / f"{name}.json").read_text())["models"]
    for name in ("models", "networks")
)
MODELS = RECIPES | OTHERS
# Drawn positions, and the numbers of patches on a side that timm fits them to.
POSITIONS, SIDES = ("pos_embed", (1, 1 + 14 * 14, 8)), (2, 7, 14, 24)


def generator(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def logits():
    """The golden logits of all networks, {"NAME/eval" or "NAME/train": array}."""
    files = (np.load(GOLDEN / f"{name}.npz") for name in ("models", "networks"))
    return {name: file[name] for file in files for name in file.files}


def drawn(name, shape):
    """The parameter of that torch name."""
    value = generator(name).standard_normal(shape)
    if name.endswith("running_mean"):
        value = 0.1 * value
    elif name.endswith("running_var"):
        value = 1 + 0.1 * np.abs(value)
    elif len(shape) == 4:
        value = value * np.sqrt(2 / np.prod(shape[1:]))
    elif len(shape) == 2:
        value = value / np.sqrt(shape[1])
    elif name.endswith("weight"):
        value = 1 + 0.1 * value
    else:
        value = 0.1 * value
    return value.astype(np.float32)


def state_dict(model):
    """All of a model's parameters and statistics."""
    parameters = MODELS[model]["parameters"]
    return {name: drawn(name, tuple(shape)) for name, shape in parameters.items()}


def images(model):
    """The two images that its golden logits are of, in our layout."""
    x = generator(model).random((2, *MODELS[model]["input"])).astype(np.float32)
    return x.transpose(0, 2, 3, 1)
