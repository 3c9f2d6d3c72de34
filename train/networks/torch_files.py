"""Reads state dicts from safetensors and torch checkpoints; no code in them is run."""

import importlib
import pathlib
import pickle
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from train.base.errors import UserError

# The keys under which checkpoints of mdistiller, RobustBench and those that follow them
# keep the state dict. Torchvision's files are the state dict itself.
KEYS = ("state_dict", "model_state_dict", "model", "net")

StateDict = dict[str, np.ndarray]


def read(path: pathlib.Path) -> StateDict:
    """The state dict in a file, without the prefix "module." that DataParallel adds.

    Args:
      path: a .safetensors file, or one that `torch.save` has written.

    Raises:
      UserError: the file cannot be read, holds objects that could run code, or holds
        no state dict; or torch is needed and not installed.
    """
    if not path.is_file():
        raise UserError(f"--weights must be a file, got {path}")
    load = _safetensors if path.suffix == ".safetensors" else _torch
    state_dict = {}
    for name, array in load(path).items():
        stripped = re.sub(r"^(module\.)+", "", name)
        if stripped in state_dict:
            raise UserError(f"{path} has {stripped} with and without 'module.'")
        state_dict[stripped] = array
    return state_dict


def _safetensors(path: pathlib.Path) -> StateDict:
    try:
        import safetensors.numpy
    except ModuleNotFoundError as error:
        raise UserError(
            f"reading {path} needs safetensors: pip install safetensors"
        ) from error
    try:
        # NumPy knows bfloat16, since JAX has been imported.
        return safetensors.numpy.load_file(path)
    except (OSError, TypeError, safetensors.SafetensorError) as error:
        raise UserError(f"{path} cannot be read as safetensors: {error}") from error


def _torch(path: pathlib.Path) -> StateDict:
    try:
        torch = importlib.import_module("torch")  # optional
    except ModuleNotFoundError as error:
        raise UserError(
            f"reading {path} needs torch (pip install torch); .safetensors files do not"
        ) from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for files of other formats
        raise UserError(_unreadable(path, error)) from error
    found = _state_dict(content, path)
    others = [name for name, value in found.items() if not torch.is_tensor(value)]
    if others:
        raise UserError(f"{path}: not tensors: {', '.join(map(str, others))}")
    return {name: _array(tensor) for name, tensor in found.items()}


def _array(tensor: Any) -> np.ndarray:
    # Some checkpoints hold parameters, which need `detach`. Floats become float32.
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _unreadable(path: pathlib.Path, error: Exception) -> str:
    """The message for a file that torch does not load."""
    code = re.search(r"GLOBAL (\S+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and code:
        return (
            f"{path} holds more than tensors ({code[1]}), and loading it could run "
            "code; save the state dict alone and convert that"
        )
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return f"{path} cannot be read as a torch checkpoint: {reason[0]}"


def _state_dict(content: Any, path: pathlib.Path) -> Mapping[str, Any]:
    while isinstance(content, Mapping):
        key = next((k for k in KEYS if isinstance(content.get(k), Mapping)), None)
        if key is None:
            break
        content = content[key]
    if isinstance(content, Mapping) and any(
        hasattr(value, "shape") for value in content.values()
    ):
        return content
    has = f"the keys {', '.join(map(str, content))}" if content else "nothing"
    if not isinstance(content, Mapping):
        has = f"a {type(content).__name__}"
    raise UserError(
        f"{path} must be a state dict, or have one at {', '.join(KEYS)}; it has {has}"
    )
