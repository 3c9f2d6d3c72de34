"""The section `continual` of a config: classes that are learned one task after another.

With `classes_per_task` or `splits`, one command trains a model for each task. It starts
from the weights of the task before and sees images of the task's own classes, and of
the memory. docs/continual_learning.md
"""

from ml_collections import ConfigDict


def section() -> ConfigDict:
    """All its fields, with their defaults."""
    continual = ConfigDict()
    # Classes of each task; a divisor of the number of classes. 0: no tasks.
    continual.classes_per_task = 0
    # Classes that the label competes with in the cross-entropy: seen (all so far) |
    # task (those of its own task; Li and Hoiem's learning without forgetting)
    continual.cross_entropy = "seen"
    # The order in which the classes come: 0: that of their labels; else a random one.
    continual.order_seed = 0
    # In place of both: the labels of each task, as ((0, 1), (2, 3), (4, 5)).
    continual.splits = ()
    continual.memory = 0  # training examples that are kept of each earlier class
    continual.memory_seed = 0  # decides which ones; the run's seed does not
    continual.memory_share = 0.5  # of the rows of every batch, with a memory
    # The task that this run is, from 1; 0: all of them, one after another. The command
    # sets it in the folder of each task.
    continual.task = 0
    return continual
