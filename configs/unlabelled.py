"""The section `unlabelled` of a config, which the semi-supervised recipes read.

Their loss is cross_entropy * cross-entropy(labelled) + strength * mean(mask *
consistency(strong view, target)), where the factors are those of `config.loss`. The
consistency is `loss.name`, which may also be ce (hard pseudo-labels), soft_ce or mse;
`loss.temperature` is that of the strong view's prediction.
"""

from ml_collections import ConfigDict


def section() -> ConfigDict:
    """All its fields, with their defaults."""
    unlabelled = ConfigDict()
    unlabelled.ratio = 7  # unlabelled examples for each labelled one
    # plain | auto_augment | rand_augment (one magnitude) | uniform_rand_augment (each
    # operation with a value of its own)
    unlabelled.strong_view = "uniform_rand_augment"
    unlabelled.operations = 2  # of both kinds of RandAugment
    unlabelled.magnitude = 9  # of rand_augment, from 0 to 30
    # Largest side of a grey square in the strong view, as a share of the width; the
    # side is drawn for each image. 0: no square.
    unlabelled.cutout = 0.5
    # The consistency counts where the target's largest probability is at least this.
    unlabelled.threshold = 0.95
    unlabelled.target_temperature = 1.0  # of the target; below 1: sharpened
    # Share of all steps in which the weight of the consistency grows from 0; 0: all of
    # it from the start.
    unlabelled.warmup = 0.0
    # strong (the weak view is a target alone) | both (the target receives gradient too)
    unlabelled.gradient = "strong"
    # Passes in which BatchNorm sees labelled and unlabelled images: joint | two
    unlabelled.passes = "joint"
    unlabelled.teacher_batch_norm = "running"  # running | batch; mean_teacher
    return unlabelled
