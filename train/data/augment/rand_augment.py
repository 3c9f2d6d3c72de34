"""RandAugment: a few operations for each image, each drawn with equal probability.

References:
  Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced
  search space", https://arxiv.org/abs/1909.13719, 2019: one magnitude for all.
  Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and
  Confidence", https://arxiv.org/abs/2001.07685, 2020, appendix: a magnitude at random
  for each operation, and Cutout at the end.
"""

import numpy as np

from train.base.errors import UserError
from train.data.augment import arguments, magnitudes, policy

# The paper's 14, without Invert.
OPERATIONS = tuple(name for name in policy.NAMES if name != "Invert")
# FixMatch draws values uniformly between these ends.
FIXMATCH_RANGES = {
    "Identity": (0, 0),
    "ShearX": (-0.3, 0.3),
    "ShearY": (-0.3, 0.3),
    "TranslateX": (-0.3, 0.3),
    "TranslateY": (-0.3, 0.3),
    "Rotate": (-30, 30),
    "Brightness": (0.05, 0.95),
    "Color": (0.05, 0.95),
    "Contrast": (0.05, 0.95),
    "Sharpness": (0.05, 0.95),
    "Posterize": (4, 8),
    "Solarize": (0, 256),
    "AutoContrast": (0, 0),
    "Equalize": (0, 0),
}
FIXMATCH_CUTOUT = 0.5  # the largest side of Cutout's square, as a share of the width


def random_steps(
    count: int,
    rng: np.random.Generator,
    *,
    num_ops: int = 2,
    magnitude: int = 9,
    num_bins: int = 31,
) -> np.ndarray:
    """Draws `num_ops` operations for each image, and the signs of signed ones.

    Args:
      count: B, the images of the whole batch.
      rng: of the whole batch.
      num_ops: S, at least 1; the paper's N.
      magnitude: the bin of all values, from 0 to `num_bins` - 1; the paper's M.
      num_bins: at least 2.

    Returns:
      `[B, S]` of `policy.STEP` for `policy.transform`.

    Raises:
      UserError: an option is outside of its range.

    Example:
      >>> steps = random_steps(8, np.random.default_rng(0), num_ops=3, magnitude=5)
      >>> policy.transform(np.zeros((8, 32, 32, 1), np.uint8), steps).shape
      (8, 32, 32, 1)
    """
    if num_bins < 2:
        raise UserError(f"num_bins must be at least 2, got {num_bins}")
    arguments.within(0, num_bins - 1, magnitude=magnitude)
    operations = _random_operations(count, num_ops, rng)
    negative = rng.random(operations.shape) < 0.5
    bins = np.array(magnitude)
    values = magnitudes.values_of(operations, bins, negative, num_bins=num_bins)
    return policy.steps(operations, values)


def random_fixmatch_steps(
    count: int, rng: np.random.Generator, *, num_ops: int = 2
) -> np.ndarray:
    """Draws `num_ops` operations for each image, each with a value of its own.

    FixMatch applies Cutout after them, as the example does: with sides of up to
    `FIXMATCH_CUTOUT`, filled with grey.

    Args:
      count: B, the images of the whole batch.
      rng: of the whole batch.
      num_ops: S, at least 1.

    Returns:
      `[B, S]` of `policy.STEP` for `policy.transform`.

    Raises:
      UserError: `num_ops` is below 1.

    Example:
      >>> from train.data.augment import cutout
      >>> rng = np.random.default_rng(0)
      >>> images = np.zeros((8, 32, 32, 3), np.uint8)
      >>> images = policy.transform(images, random_fixmatch_steps(8, rng, num_ops=3))
      >>> centres = cutout.random_centres(8, rng)
      >>> sides = cutout.random_sides(8, FIXMATCH_CUTOUT, rng)
      >>> cutout.cutout(images, centres, cutout.lengths(sides, 32), fill=127).shape
      (8, 32, 32, 3)
    """
    operations = _random_operations(count, num_ops, rng)
    ends = np.array([FIXMATCH_RANGES.get(name, (0, 0)) for name in policy.NAMES])
    low, high = ends[operations, 0], ends[operations, 1]
    return policy.steps(operations, low + (high - low) * rng.random(operations.shape))


def _random_operations(
    count: int, num_ops: int, rng: np.random.Generator
) -> np.ndarray:
    """`[count, num_ops]` positions in `policy.NAMES`."""
    if num_ops < 1:
        raise UserError(f"num_ops must be at least 1, got {num_ops}")
    drawn = rng.integers(len(OPERATIONS), size=(count, num_ops))
    return policy.indices(OPERATIONS)[drawn]
