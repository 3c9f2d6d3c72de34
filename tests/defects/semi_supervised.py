"""Defects of learning from few labels: its data, targets, pseudo-labels and passes."""

from tests.defects.defect import Defect

DATA, RECIPES = "train/data", "train/recipes"
HERE = "tests/train/recipes/semi_supervised"
GRADIENTS = (f"{HERE}/test_gradients.py",)
LABELS = ("tests/train/data/subsets/test_few_labels.py",)
PASSES = (f"{HERE}/test_passes.py",)
PSEUDO_LABELS = (f"{HERE}/test_pseudo_labels.py",)
STEPS = (f"{HERE}/test_trajectory.py",)
SELF_TRAINING = ("tests/train/evaluation/test_pseudo_labels.py",)
VIEWS = ("tests/train/data/augment/test_views.py",)

DEFECTS = [
    Defect(
        "FixMatch's strong logits are taken from the weak pass",
        RECIPES,
        "target_of(weak), strong, batch_stats",
        "target_of(weak), weak, batch_stats",
        GRADIENTS,
    ),
    Defect(
        "Mean Teacher's strong logits are taken from the weak view",
        RECIPES,
        "shown = [images.labelled, images.strong]",
        "shown = [images.labelled, images.weak]",
        GRADIENTS,
    ),
    Defect(
        "the weak branch is never stopped",
        RECIPES,
        '"strong": jax.lax.stop_gradient,',
        '"strong": _unchanged,',
        GRADIENTS,
    ),
    Defect(
        "the weak branch is always stopped",
        RECIPES,
        '"both": _unchanged,',
        '"both": jax.lax.stop_gradient,',
        GRADIENTS,
    ),
    Defect(
        "Mean Teacher's teacher is the student itself",
        RECIPES,
        "teach(task.model, state.averaged, images.weak, key)",
        "teach(task.model, state.weights, images.weak, key)",
        STEPS,
    ),
    Defect(
        "the consistency of images below the threshold counts",
        RECIPES,
        "jnp.mean(jnp.where(pseudo.mask, losses, 0.0))",
        "jnp.mean(losses)",
        GRADIENTS,
    ),
    Defect(
        "class means take targets below the threshold",
        RECIPES,
        "temperature=loss.weight_temperature, where=pseudo.mask",
        "temperature=loss.weight_temperature",
        PSEUDO_LABELS,
    ),
    Defect(
        "the accuracy of masked pseudo-labels is a share of all",
        RECIPES,
        "Share(jnp.sum(right & mask), jnp.sum(mask))",
        "Share(jnp.sum(right & mask), jnp.asarray(mask.size))",
        PSEUDO_LABELS,
    ),
    Defect(
        "targets are sharpened by the prediction's temperature",
        RECIPES,
        "target.logits * (loss.temperature / wanted)",
        "target.logits * (wanted / loss.temperature)",
        (f"{HERE}/test_consistency.py",),
    ),
    Defect(
        "kinds of images are not spread over the groups of BatchNorm",
        RECIPES,
        "cut = [rows.reshape(blocks, -1, *rows.shape[1:]) for rows in arrays]",
        "cut = [rows[None] for rows in arrays]",
        PASSES,
    ),
    Defect(
        "the second pass forgets the statistics of the first",
        RECIPES,
        "weights = Weights(weights.params, batch_stats)",
        "new = Weights(weights.params, batch_stats)",
        PASSES,
    ),
    Defect(
        "a step is given the labels that are withheld",
        "train/training",
        "run.recipe.step(state, seen)",
        "run.recipe.step(state, batch)",
        ("tests/train/training/test_semi_supervised_runs.py",),
    ),
    Defect(
        "labelled examples are left among the others",
        DATA,
        "others = np.setdiff1d(np.arange(len(train)), chosen)",
        "others = np.arange(len(train))",
        LABELS,
    ),
    Defect(
        "images with labels get pseudo-labels, too",
        DATA,
        "np.flatnonzero(~labelled)",
        "np.arange(len(labelled))",
        SELF_TRAINING,
    ),
    Defect(
        "pseudo-labels are the labels that come with the images",
        "train/evaluation",
        "found.predicted[kept].astype(np.int64)",
        "found.labels[kept].astype(np.int64)",
        SELF_TRAINING,
    ),
    Defect(
        "the threshold keeps the images that the network is unsure of",
        "train/evaluation",
        "np.flatnonzero(confidences >= threshold)",
        "np.flatnonzero(confidences <= threshold)",
        SELF_TRAINING,
    ),
    Defect(
        "listed examples may be held out",
        DATA,
        "order[~np.isin(order, kept)][:size]",
        "order[:size]",
        LABELS,
    ),
    Defect(
        "one class gets all labels",
        DATA,
        "order[labels[order] == label][:each]",
        "order[:each]",
        LABELS,
    ),
    Defect(
        "grey squares have the largest side",
        DATA,
        "cutout.random_sides(count, view.largest_square, rng))",
        "np.full(count, view.largest_square))",
        VIEWS,
    ),
]
