"""A run's weights for others: files that other programs read, and a model card."""

from collections.abc import Callable, Iterator

from train.base import files
from train.evaluation.target import Target
from train.release import card, network, program, tensors

# The files in the order in which they are written; the card, which names them, is last.
FILES: dict[str, Callable[[network.Released], bytes | None]] = {
    "weights.safetensors": tensors.ours,
    "torch.safetensors": tensors.of_torch,
    "model.jax_export": program.exported,
}
CARD = "README.md"


def check(output: files.Path) -> None:
    """Creates the folder, before the work begins.

    Raises:
      UserError: it cannot be created, or holds files of something else; or a library
        is missing.
    """
    program.check()
    unfinished = map(files.unfinished_name, (*FILES, CARD))
    files.claim(output, "--output", (*FILES, CARD, *unfinished))


def write(output: files.Path, target: Target, licence: str) -> Iterator[files.Path]:
    """Writes all files; yields the path of each as it is written.

    Raises:
      UserError: one cannot be written.
    """
    released = network.of_target(target)
    written = []
    for name, content in FILES.items():
        if (blob := content(released)) is not None:
            with files.whole(output / name) as file:
                file.write(blob)
            written.append(name)
            yield output / name
    text = card.text(target, released, licence, written)
    files.write_whole(output / CARD, text)
    yield output / CARD
