"""Noise: Gaussian, shot, impulse and, of the extra corruptions, speckle."""

import numpy as np

from train.data.corruptions.corruption import Corruption, Generators, stacked


def gaussian_noise(
    x: np.ndarray, generators: Generators, scale: float, deviation: float
) -> np.ndarray:
    """Adds normal numbers, as in poor light."""
    return x + deviation * _normal(x, generators)


def shot_noise(
    x: np.ndarray, generators: Generators, scale: float, photons: float
) -> np.ndarray:
    """Counts discrete photons: Poisson numbers, of which white has `photons`."""
    expected = x.astype(np.float64) * photons
    draws = [g.poisson(e) for g, e in zip(generators, expected, strict=True)]
    return stacked(draws) / photons


def impulse_noise(
    x: np.ndarray, generators: Generators, scale: float, amount: float
) -> np.ndarray:
    """Salt and pepper: sets a share of the values to 0 or 1, half of them to each."""
    shape = x.shape[1:]
    draws = stacked([g.random(shape, np.float32) for g in generators])
    pepper, salt = draws < amount / 2, draws >= 1 - amount / 2
    return np.where(salt, np.float32(1), np.where(pepper, np.float32(0), x))


def speckle_noise(
    x: np.ndarray, generators: Generators, scale: float, deviation: float
) -> np.ndarray:
    """Adds normal numbers times the value itself, so bright pixels have more."""
    return x + x * deviation * _normal(x, generators)


def _normal(x: np.ndarray, generators: Generators) -> np.ndarray:
    shape = x.shape[1:]
    return stacked([g.standard_normal(shape, np.float32) for g in generators])


GAUSSIAN_NOISE = Corruption(
    "gaussian_noise", "noise", gaussian_noise,
    (0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38),
)  # fmt: skip
SHOT_NOISE = Corruption(
    "shot_noise", "noise", shot_noise, (500, 250, 100, 75, 50), (60, 25, 12, 5, 3)
)
IMPULSE_NOISE = Corruption(
    "impulse_noise", "noise", impulse_noise,
    (0.01, 0.02, 0.03, 0.05, 0.07), (0.03, 0.06, 0.09, 0.17, 0.27),
)  # fmt: skip
SPECKLE_NOISE = Corruption(
    "speckle_noise", "extra", speckle_noise,
    (0.06, 0.10, 0.12, 0.16, 0.20), (0.15, 0.20, 0.35, 0.45, 0.60),
)  # fmt: skip
