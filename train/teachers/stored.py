"""Networks with weights as a user names them: a run of ours, or converted weights."""

from typing import Any, NamedTuple

from train.base import files, terminal
from train.base.errors import UserError
from train.experiment import finished
from train.experiment import run as runs
from train.networks import model
from train.networks.converted import Converted
from train.recipes.state import Weights


class Stored(NamedTuple):
    """A network as it is stored.

    Attributes:
      described: the architecture's settings, which the weights do not show.
      network: the Linen module.
      weights: of the network.
      num_classes: of its logits; 0: it has no classifier.
      class_names: in the order of the logits; None: not known.
    """

    described: dict[str, Any]
    network: Any
    weights: Weights
    num_classes: int
    class_names: tuple[str, ...] | None


def is_run(path: files.Path) -> bool:
    """Whether a path is a folder, and so of a run.

    Raises:
      UserError: it cannot be looked at.
    """
    with files.reading(path):
        return path.is_dir()


def of_run(path: files.Path, field: str, dtype: str) -> Stored:
    """The weights that a run is evaluated by: the averaged ones if it keeps them.

    Args:
      path: the workdir.
      field: of the config, that names it.
      dtype: of the computation, as configs name it.

    Raises:
      UserError: the folder holds no run, or one that has not finished.
    """
    files.of_run(str(path), field)
    # On a mesh that does not divide the classes, since the run's own classes may be
    # padded for another mesh.
    changed = {"mesh": (-1, 1), "fsdp": False, "model.dtype": dtype}
    opened = runs.reopen(path, changed)
    result = finished.read(path, epochs=int)
    if result is None or result["epochs"] != opened.config.epochs:
        raise UserError(f"{field}: the run in {path} has not finished")
    state = runs.newest_state(opened, path, terminal.warn)
    model_config, data = opened.config.model, opened.data
    return Stored(
        description(model_config.name, model_config.normalize), opened.model,
        state.evaluated, data.num_classes, data.class_names,
    )  # fmt: skip


def check_file(path: files.Path, field: str) -> None:
    """Raises `UserError` unless there is a file."""
    if not path.is_file():
        raise UserError(f"{field}: there is neither folder nor file {path}")


def of_converted(read: Converted, dtype: str) -> Stored:
    """The network of a file of `train.convert`.

    Args:
      read: the file's content.
      dtype: of the computation, as configs name it.
    """
    network = read.create(dtype=model.DTYPES[dtype])
    variables = read.variables
    weights = Weights(variables["params"], variables.get("batch_stats", {}))
    return Stored(
        description(read.model, read.normalize), network, weights, read.num_classes,
        read.class_names,
    )  # fmt: skip


def description(name: str, normalize: Any) -> dict[str, Any]:
    """Settings in which networks differ although their weights have the same shapes."""
    return {"model": name, "normalize": [list(values) for values in normalize or ()]}
