"""Margins of the training and the test part, of logits and in the space of images."""

import numpy as np

from ikl_jax import checks
from train.base.errors import UserError
from train.data import fingerprint
from train.data.splits import Split, part_of
from train.evaluation.judgement import Judgement
from train.evaluation.measures.context import Context
from train.evaluation.measures.margins import boundary, parts
from train.evaluation.measures.margins.boundary import Boundary
from train.evaluation.measures.margins.parts import Part
from train.evaluation.measures.measure import (
    ATTACK,
    Finding,
    Measure,
    Option,
    Prepared,
)
from train.evaluation.measures.rows import rows_of
from train.evaluation.outputs import Outputs, joined

DISTANCES = Option(
    "distances", int, 200,
    "Of that many examples of each part the distance to the boundary is searched for.",
    lambda value: checks.non_negative(distances=value),
)  # fmt: skip


def part_of_outputs(
    natural: Outputs, adversarial: Outputs | None, found: Boundary
) -> Part:
    """What `parts.compared` takes of one part.

    Args:
      natural: the outputs for N examples as they are.
      adversarial: those after the attack; None: no attack was made.
      found: the distances of some of them.
    """
    return Part(
        natural.labels, natural.logits,
        None if adversarial is None else adversarial.logits,
        found.distances, natural.labels[found.rows],
    )  # fmt: skip


def training_sample(context: Context) -> Split:
    """As many training examples as are evaluated, spread evenly over their part.

    They have the form of evaluated ones: there is no augmentation.

    Raises:
      UserError: the data have no training part.
    """
    whole = context.target.data.train
    if not len(whole):
        raise UserError(
            f"--measure=margins compares two parts, but {context.target.dataset} has "
            "no training examples"
        )
    return part_of(whole, rows_of(len(whole), context.count))


def _prepare(context: Context) -> Prepared:
    attack, target = context.attack, context.target
    training, asked = training_sample(context), context.values[DISTANCES.name]
    norm = attack.norm
    stored = boundary.stored(target, context.count, norm) if asked else None
    arguments = {
        **context.attack_arguments,
        "training_fingerprint": fingerprint.of_split(training),
        "distance_examples": asked,
        **({"distance_norm": norm} if asked else {}),
        **({"distance_record": stored.source} if stored else {}),
    }

    def find(_: Judgement) -> Finding:
        natural, adversarial = context.outputs, context.adversarial
        train_natural = joined(context.outputs_of(training))
        train_adversarial = context.adversarial_of(training)
        searched = lambda split, size: boundary.searched(
            target, split, rows_of(size, asked), norm, context.console
        )
        of_training = searched(training, len(training))
        of_test = stored or searched(target.data.test, context.count)
        found = parts.compared(
            part_of_outputs(train_natural, train_adversarial, of_training),
            part_of_outputs(natural, adversarial, of_test),
            target.data.class_names,
        )
        sources = {"training": of_training.source, "test": of_test.source}
        about = {
            **({"attack_name": attack.name} if attack.restarts else {}),
            **({"distance_norm": norm, "distance_source": sources} if asked else {}),
        }
        return Finding(
            {**about, **found},
            {
                **_arrays("", adversarial, of_test),
                "training_index": rows_of(len(target.data.train), context.count),
                "training_label": train_natural.labels,
                "training_logits": train_natural.logits,
                **_arrays("training_", train_adversarial, of_training),
            },
        )

    return Prepared(arguments, find)


def _arrays(
    prefix: str, adversarial: Outputs | None, found: Boundary
) -> dict[str, np.ndarray]:
    """What the per-example file has of a part; rows of distances are rows of it."""
    arrays = {
        "boundary_row": found.rows, "boundary_distance": found.distances
    } if len(found.rows) else {}  # fmt: skip
    if adversarial is not None:
        arrays["adversarial_logits"] = adversarial.logits
    return {f"{prefix}{name}": array for name, array in arrays.items()}


MARGINS = Measure("margins", _prepare, (DISTANCES,), ATTACK)
