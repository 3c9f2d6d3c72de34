"""Reads weights from torch's files and safetensors; no code in them is run."""

import dataclasses
import json
import pathlib
import zipfile
from typing import Any

import jax.numpy as jnp
import numpy as np

from train.base.errors import UserError
from train.networks.torch_files import contents, layouts

StateDict = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Found:
    """The weights of a file.

    Attributes:
      state_dict: arrays by torch's names; floats are float32.
      key: of the weights in the file; empty: the file is the state dict.
      others: keys of other weights in the file.
      not_tensors: names between the tensors of things that are none.
      class_names: in the order of the logits, as `train.export` writes them into a
        .safetensors file; None: not known.
    """

    state_dict: StateDict
    key: str = ""
    others: list[str] = dataclasses.field(default_factory=list)
    not_tensors: list[str] = dataclasses.field(default_factory=list)
    class_names: tuple[str, ...] | None = None


def read(path: pathlib.Path, key: str | None = None) -> Found:
    """The weights in a file.

    Args:
      path: a .safetensors file, or one that `torch.save` has written.
      key: of the weights in a file that holds several; None: see `contents.choose`.

    Raises:
      UserError: the file cannot be read, holds objects that would run code elsewhere,
        or holds no weights.
    """
    if not path.is_file():
        raise UserError(f"--weights must be a file, got {path}")
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if path.suffix == ".safetensors" or start[8:10] == b'{"':
        if key is not None:
            raise UserError(f"--key={key}: a .safetensors file has no keys")
        return _safetensors(path)
    return _torch(path, start, key)


def _safetensors(path: pathlib.Path) -> Found:
    try:
        import safetensors.numpy
    except ModuleNotFoundError as error:
        raise UserError(
            f"reading {path} needs safetensors: pip install safetensors"
        ) from error
    try:
        # NumPy knows bfloat16, since JAX has been imported.
        arrays = safetensors.numpy.load_file(path)
        with path.open("rb") as file:
            header = file.read(int.from_bytes(file.read(8), "little"))
    except (OSError, TypeError, safetensors.SafetensorError) as error:
        raise UserError(f"{path} cannot be read as safetensors: {error}") from error
    described = json.loads(header).get("__metadata__", {})
    widened = {name: _widened(array) for name, array in arrays.items()}
    try:
        names = tuple(map(str, json.loads(described["class_names"])))
    except (KeyError, TypeError, ValueError):  # another program's
        return Found(widened)
    return Found(widened, class_names=names)


def _widened(array: np.ndarray) -> np.ndarray:
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    return array.astype(np.float32) if floating else array


def _torch(path: pathlib.Path, start: bytes, key: str | None) -> Found:
    if other := _other_format(path, start):
        raise UserError(
            f"{path} is {other}; --weights must be a file of torch.save (.pth, .pt, "
            ".tar, .bin) or a .safetensors file"
        )
    zipped = start.startswith(b"PK")
    try:
        content = (layouts.read_zip if zipped else layouts.read_older)(path)
        chosen = contents.choose(content, key, path)
        arrays = {name: each.array() for name, each in chosen.weights.items()}
    except UserError:
        raise
    except layouts.Suspicious as error:
        raise UserError(
            f"{path} holds more than tensors ({error}), and loading it elsewhere could "
            "run code; save the state dict alone and convert that"
        ) from error
    except layouts.NotOfTorch as error:
        raise UserError(
            f"{path} cannot be read as a torch checkpoint: it is a pickle that "
            "torch.save has not written"
        ) from error
    except Exception as error:  # a damaged pickle can raise any
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        raise UserError(
            f"{path} cannot be read as a torch checkpoint: {type(error).__name__}, "
            f"{reason}; it may be damaged"
        ) from error
    return Found(arrays, chosen.key, chosen.others, chosen.not_tensors)


def _other_format(path: pathlib.Path, start: bytes) -> str | None:
    """What a file is whose first bytes are not those of torch's; None: not known."""
    if not start:
        return "empty"
    if start.startswith(b"PK"):
        return _other_archive(path)
    lower = start.lstrip().lower()
    for beginning, name in (
        (b"\x93NUMPY", "an array of NumPy (.npy), which has no names of parameters"),
        (b"\x89HDF", "an HDF5 file (of Keras, perhaps)"),
        (b"\x1f\x8b", "compressed with gzip: unpack it"),
        (b"version https://git-lfs", "Git LFS's pointer to the weights (git lfs pull)"),
        (b"<!doctype", "a web page, perhaps the message of a failed download"),
        (b"<html", "a web page, perhaps the message of a failed download"),
    ):
        if start.startswith(beginning) or lower.startswith(beginning):
            return name
    return "a tar archive: unpack it" if start[257:262] == b"ustar" else None


def _other_archive(path: pathlib.Path) -> str | None:
    """As `_other_format`, for zip archives."""
    try:
        with zipfile.ZipFile(path) as archive:
            names: Any = archive.namelist()
    except Exception:  # of many kinds; what is wrong is said when it is read
        return None
    parts = {name.split("/")[-1] for name in names}
    if "constants.pkl" in parts:
        return "a TorchScript archive: torch.save its state_dict()"
    if "description.npy" in parts:
        return (
            "what train.convert writes, and needs no conversion: give it to "
            "train.evaluate --weights, or as teacher.path"
        )
    if names and all(name.endswith(".npy") for name in names):
        return (
            "arrays of NumPy (.npz), whose names and layout are not known to be torch's"
        )
    return None if "data.pkl" in parts else "a zip archive of something else"
