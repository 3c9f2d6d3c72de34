"""t-SNE: a map in two dimensions on which near features are near.

Distances between far groups of the map, and sizes of groups, mean nothing.

Reference: van der Maaten and Hinton, "Visualizing Data using t-SNE",
https://jmlr.org/papers/v9/vandermaaten08a.html, 2008.
"""

import numpy as np

PERPLEXITY = 30.0  # of scikit-learn; lower where there are few points
FEWEST = 4  # points that a map can have


def joint_map(
    natural: np.ndarray, adversarial: np.ndarray, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """A map of natural and adversarial features together, so that both share its axes.

    Args:
      natural: `[N, F]`.
      adversarial: `[M, F]`.
      seed: of the random numbers.

    Returns:
      `[N, 2]` and `[M, 2]` float32. Equal arguments give equal maps.

    Raises:
      ValueError: there are fewer than four points, features are not finite, or all of
        them are equal.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    points = np.concatenate([natural, adversarial]).astype(np.float32)
    _check(points)
    # The main axes give the map the same large shape whatever the seed.
    init = "pca" if points.shape[1] > 1 else "random"
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    fitted = TSNE(perplexity=perplexity, init=init, random_state=seed)
    # Threads would add up the same numbers in another order each time.
    with threadpool_limits(1):
        placed = fitted.fit_transform(points).astype(np.float32)
    return placed[: len(natural)], placed[len(natural) :]


def _check(points: np.ndarray) -> None:
    if len(points) < FEWEST:
        raise ValueError(f"t-SNE needs {FEWEST} points or more, got {len(points)}")
    if not np.isfinite(points).all():
        raise ValueError("features must be finite")
    if not np.ptp(points, axis=0).any():
        raise ValueError("features must differ, but all are equal")
