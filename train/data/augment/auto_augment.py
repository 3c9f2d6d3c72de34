"""AutoAugment's policy for CIFAR-10: one of 25 sub-policies for each image.

Reference: Cubuk et al., "AutoAugment: Learning Augmentation Strategies from Data",
https://arxiv.org/abs/1805.09501, 2019, the appendix's table. The authors use it for
CIFAR-100 as well.
"""

import numpy as np

from train.data.augment import magnitudes, policy

NUM_BINS = 10
# Each has two steps (operation, probability, bin of the magnitude). The paper gives a
# bin also to operations that have no magnitude.
CIFAR10 = (
    (("Invert", 0.1, 7), ("Contrast", 0.2, 6)),
    (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
    (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
    (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.5, 8), ("Equalize", 0.9, 2)),
    (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
    (("Color", 0.4, 3), ("Brightness", 0.6, 7)),
    (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
    (("Equalize", 0.6, 5), ("Equalize", 0.5, 1)),
    (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
    (("Color", 0.7, 7), ("TranslateX", 0.5, 8)),
    (("Equalize", 0.3, 7), ("AutoContrast", 0.4, 8)),
    (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
    (("Brightness", 0.9, 6), ("Color", 0.2, 8)),
    (("Solarize", 0.5, 2), ("Invert", 0.0, 3)),
    (("Equalize", 0.2, 0), ("AutoContrast", 0.6, 0)),
    (("Equalize", 0.2, 8), ("Equalize", 0.6, 4)),
    (("Color", 0.9, 9), ("Equalize", 0.6, 6)),
    (("AutoContrast", 0.8, 4), ("Solarize", 0.2, 8)),
    (("Brightness", 0.1, 3), ("Color", 0.7, 0)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.9, 3)),
    (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.9, 2), ("Solarize", 0.8, 3)),
    (("Equalize", 0.8, 8), ("Invert", 0.1, 3)),
    (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, 1)),
)
SubPolicies = tuple[tuple[tuple[str, float, int], ...], ...]


def random_steps(
    count: int, rng: np.random.Generator, sub_policies: SubPolicies = CIFAR10
) -> np.ndarray:
    """Draws a sub-policy for each image, which of its steps are taken, and their signs.

    Args:
      count: B, the images of the whole batch.
      rng: of the whole batch.
      sub_policies: of S steps each, which are taken with the given probability.

    Returns:
      `[B, S]` of `policy.STEP` for `policy.transform`; Identity where not taken.

    Example:
      >>> images = np.zeros((4, 32, 32, 3), np.uint8)
      >>> steps = random_steps(4, np.random.default_rng(0))
      >>> steps.shape
      (4, 2)
      >>> mine = np.array([1, 3])  # the rows of this process
      >>> policy.transform(images[mine], steps[mine]).shape
      (2, 32, 32, 3)
    """
    operations, probabilities, bins = _columns(sub_policies)
    chosen = rng.integers(len(sub_policies), size=count)
    shape = count, operations.shape[1]
    taken = rng.random(shape) < probabilities[chosen]
    negative = rng.random(shape) < 0.5
    operations = np.where(taken, operations[chosen], policy.IDENTITY)
    values = magnitudes.values_of(operations, bins[chosen], negative, num_bins=NUM_BINS)
    return policy.steps(operations, values)


def _columns(
    sub_policies: SubPolicies,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Operations, probabilities and bins, each `[sub-policies, S]`."""
    rows = [list(zip(*steps, strict=True)) for steps in sub_policies]
    operations = np.stack([policy.indices(names) for names, _, _ in rows])
    probabilities = np.array([row for _, row, _ in rows])
    return operations, probabilities, np.array([row for _, _, row in rows])
