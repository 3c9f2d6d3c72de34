"""CutMix: a box of each image shows another image, whose label gets that share.

Reference: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with
Localizable Features", https://arxiv.org/abs/1905.04899, 2019, equations 1 and 2.

A partner can be any image of the batch, also one that another process reads. It must
have been augmented before.
"""

import numpy as np

from train.base.errors import UserError
from train.base.types import Batch
from train.data.augment import arguments, boxes


def random_partners(count: int, rng: np.random.Generator) -> np.ndarray:
    """`[count]`, a permutation of the whole batch: the row of each image's partner.

    >>> sorted(random_partners(4, np.random.default_rng(0)).tolist())
    [0, 1, 2, 3]
    """
    return rng.permutation(count)


def random_boxes(
    count: int, rng: np.random.Generator, *, alpha: float = 1.0, probability: float = 1
) -> np.ndarray:
    """Draws a box for each image: `[count, 3]`, the share that is kept and the centre.

    All three numbers lie in [0, 1]. The authors' code draws one box for a whole batch:
    `np.repeat(random_boxes(1, rng), count, axis=0)`.

    Args:
      count: B, the images of the whole batch.
      rng: of the whole batch.
      alpha: > 0; shares are Beta(alpha, alpha), uniform for 1.
      probability: of an image to be mixed; one that is not is kept whole.

    Raises:
      UserError: `alpha` or `probability` is outside of its range.

    Example:
      >>> kept = random_boxes(1000, np.random.default_rng(0), probability=0.25)[:, 0]
      >>> bool(0.7 < (kept == 1).mean() < 0.8)
      True
    """
    if not 0 < alpha < np.inf:
        raise UserError(f"alpha must be > 0 and finite, got {alpha}")
    arguments.within(0, 1, probability=probability)
    kept = rng.beta(alpha, alpha, count)
    kept = np.where(rng.random(count) < probability, kept, 1.0)
    return np.column_stack([kept, boxes.random_centres(count, rng)])


def mix(
    images: np.ndarray, others: np.ndarray, drawn: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Replaces a box of each image by the same box of its partner.

    Args:
      images: `[B, H, W, K]`; not changed in place.
      others: `[B, H, W, K]`, the partner of each.
      drawn: `[B, 3]`, as `random_boxes` draws them.

    Returns:
      The mixed images `[B, H, W, K]`, and float32 `[B]`, the share of each one's pixels
      that are its own, after the box was clipped at the edges.

    Raises:
      UserError: the two shapes differ, or there is not one box for each image.

    Example:
      >>> black, white = np.zeros((1, 4, 4, 1)), np.ones((1, 4, 4, 1))
      >>> mixed, share = mix(black, white, np.array([[0.75, 0.5, 0.0]]))
      >>> mixed[0, :, :, 0]
      array([[0., 0., 0., 0.],
             [1., 0., 0., 0.],
             [1., 0., 0., 0.],
             [0., 0., 0., 0.]])
      >>> share
      array([0.875], dtype=float32)
    """
    if images.shape != others.shape:
        raise UserError(
            f"images and others must have one shape, got {list(images.shape)} and "
            f"{list(others.shape)}"
        )
    shape = boxes.shape_of(images, drawn=drawn)
    scale = np.sqrt(1 - drawn[:, 0])
    heights, widths = (scale * shape[0]).astype(int), (scale * shape[1]).astype(int)
    edges = boxes.edges(drawn[:, 1:], heights, widths, shape=shape)
    within = boxes.inside(edges, shape=shape)
    share = 1 - within.mean(axis=(1, 2))
    return np.where(within[..., None], others, images), share.astype(np.float32)


def cutmix(batch: Batch, partners: Batch, drawn: np.ndarray) -> Batch:
    """Mixes a batch with its partners.

    Args:
      batch: `image` `[B, H, W, K]`, `label` `[B]`, and any other columns.
      partners: `image` and `label` of each row's partner.
      drawn: `[B, 3]`, as `random_boxes` draws them.

    Returns:
      The batch with its mixed `image`, and `other_label` `[B]` and `share` `[B]` added:
      the loss is share * loss(label) + (1 - share) * loss(other_label).

    Example:
      >>> batch = {"image": np.zeros((4, 8, 8, 3), np.uint8), "label": np.arange(4)}
      >>> rng = np.random.default_rng(0)
      >>> rows = random_partners(4, rng)
      >>> partners = {name: column[rows] for name, column in batch.items()}
      >>> mixed = cutmix(batch, partners, random_boxes(4, rng))
      >>> list(mixed), bool((mixed["other_label"] == rows).all())
      (['image', 'label', 'other_label', 'share'], True)
    """
    image, share = mix(batch["image"], partners["image"], drawn)
    return batch | {"image": image, "other_label": partners["label"], "share": share}
