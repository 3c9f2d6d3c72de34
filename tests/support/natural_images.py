"""Small pieces of natural photographs, which scikit-learn ships."""

import functools

import numpy as np
from PIL import Image
from sklearn import datasets


@functools.cache
def crops(side, count, pieces=(200, 420)):
    """uint8 `[count, side, side, 3]`, squares of `pieces` pixels made smaller."""
    rng, found = np.random.default_rng(0), []
    photographs = datasets.load_sample_images().images
    for i in range(count):
        photograph, size = (
            photographs[i % 2],
            int(rng.integers(pieces[0], pieces[1] + 1)),
        )
        top = rng.integers(0, photograph.shape[0] - size + 1)
        left = rng.integers(0, photograph.shape[1] - size + 1)
        piece = Image.fromarray(photograph[top : top + size, left : left + size])
        smaller = piece.resize((side, side), Image.Resampling.LANCZOS)
        found.append(np.asarray(smaller))
    return np.stack(found)
