"""The stages of `benchmarks/accelerator.py`, which imports nothing of them but this.

Each is a module with a function `run(order, report)`, and a process of its own.
"""

from typing import NamedTuple


class Stage(NamedTuple):
    """One stage.

    Attributes:
      letter: names it on the command line.
      module: in this folder.
      title: of its tables.
      seconds: its time budget; None: whatever is left.
      rehearsal: the same for a rehearsal, several times what two idle cores take.
      memory: the share of the card's memory that JAX may take; torch has the rest.
    """

    letter: str
    module: str
    title: str
    seconds: float | None
    rehearsal: float | None
    memory: float = 0.5


STAGES: tuple[Stage, ...] = (
    Stage("a", "limits", "The card and its limits", 30, 200),
    Stage("b", "losses", "Losses: value and both gradients", 85, 300),
    Stage("c", "steps", "The training step", 230, 500),
    Stage("d", "attacks", "AutoAttack", 150, 500),
    Stage("e", "checks", "Tests on the device", 70, 400),
    Stage("f", "frontier", "KL and IKL on Fashion-MNIST", None, 300, 0.75),
)
