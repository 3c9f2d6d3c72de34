"""Which of the things that a file holds are the weights."""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from train.base.errors import UserError
from train.networks.torch_files.inert import Inert
from train.networks.torch_files.tensors import Tensor

# The keys under which checkpoints of mdistiller, RobustBench and those that follow them
# keep the state dict. Torchvision's files are the state dict itself.
KEYS = ("state_dict", "model_state_dict", "model", "net")
# Keys of averaged weights, taken where a file has none of the others.
AVERAGED = (
    "state_dict_ema", "model_state_dict_ema", "ema_state_dict", "model_ema",
    "ema_model", "ema",
)  # fmt: skip
ITSELF = ""  # the key of a file that is a state dict
# Parts of the keys of what has tensors, but no weights of a network.
_OTHERS = ("optim", "sched", "scaler", "rng")
_DEEPEST = 4  # keys one within another

Weights = Mapping[str, Any]  # tensors, and perhaps other things, by name


class Chosen(NamedTuple):
    """The weights of a file.

    Attributes:
      weights: tensors by name.
      key: of the weights in the file; empty: the file has nothing else.
      others: keys of other weights.
      not_tensors: names of what is between the tensors and is none.
    """

    weights: dict[str, Tensor]
    key: str
    others: list[str]
    not_tensors: list[str]


def choose(content: Any, key: str | None, path: pathlib.Path) -> Chosen:
    """Finds the weights in what a file holds.

    Args:
      content: of the file.
      key: where the weights are, with dots between keys one within another; None: under
        one of `KEYS`, or the only place there is.
      path: of the file.

    Raises:
      UserError: there are none, or several, or none under that key.
    """
    found = {
        place: weights
        for place, weights in _all(content, ITSELF)
        if not any(part in place.lower() for part in _OTHERS) or place == key
    }
    if key is None:
        taken = _usual(found, path, content)
    elif key in found:
        taken = key
    else:
        within = [place for place in found if place.startswith(f"{key}.")]
        if len(within) != 1:
            has = ", ".join(filter(None, found)) or "no key with weights"
            raise UserError(f"--key={key}: {path} has {has}")
        (taken,) = within
    weights = found.pop(taken)
    tensors = {name: v for name, v in weights.items() if isinstance(v, Tensor)}
    others = [place for place in found if place != ITSELF]
    nested = {place.partition(".")[0] for place in others} if taken == ITSELF else {}
    not_tensors = [str(n) for n in weights if n not in tensors and n not in nested]
    return Chosen(tensors, taken, others, not_tensors)


def _usual(found: Mapping[str, Weights], path: pathlib.Path, content: Any) -> str:
    """The key of the weights where none was given."""
    place = ITSELF
    while True:
        below = (f"{place}.{key}".lstrip(".") for key in KEYS)
        nearer = next(
            (k for k in below if any(f == k or f.startswith(f"{k}.") for f in found)),
            None,
        )
        if nearer is None:
            break
        place = nearer
    within = [f for f in found if f == place or f.startswith(f"{place}.".lstrip("."))]
    if place in within:
        return place
    if len(within) == 1:
        return within[0]
    for key in AVERAGED:
        for each in within:
            if each.split(".")[-1] == key or each.split(".")[0] == key:
                return each
    if not within:
        raise UserError(_nothing(path, content))
    raise UserError(
        f"{path} has several weights: {', '.join(within)}; choose some with "
        f"--key={within[0]}"
    )


def _nothing(path: pathlib.Path, content: Any) -> str:
    has = f"a {type(content).__name__}"
    if isinstance(content, Inert):
        has = f"an object of {content.pickled_name}"
    elif isinstance(content, Mapping):
        has = f"the keys {', '.join(map(str, content))}" if content else "nothing"
    return (
        f"{path} must be a state dict, or have one at {', '.join(KEYS)}; it has {has}"
    )


def _all(content: Any, place: str, depth: int = 0) -> Iterator[tuple[str, Weights]]:
    """All state dicts, and networks that were saved whole, by their keys."""
    if isinstance(content, Inert):
        content = dict(_of_module(content, ""))
    if not isinstance(content, Mapping):
        return
    if any(isinstance(value, Tensor) for value in content.values()):
        yield place, content
    if depth == _DEEPEST:
        return
    for key, value in content.items():
        if isinstance(key, str):
            yield from _all(value, f"{place}.{key}".lstrip("."), depth + 1)


def _of_module(module: Inert, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers of a torch module, named as `state_dict` does."""
    state = module.state if isinstance(module.state, Mapping) else {}
    for kind in ("_parameters", "_buffers"):
        for name, value in _mapping(state.get(kind)).items():
            if isinstance(value, Tensor):
                yield f"{prefix}{name}", value
    for name, child in _mapping(state.get("_modules")).items():
        if isinstance(child, Inert):
            yield from _of_module(child, f"{prefix}{name}.")


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}
