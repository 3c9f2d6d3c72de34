"""The norms, measured again in NumPy float64."""

import numpy as np


def size(delta, norm):
    flat = np.abs(np.asarray(delta, np.float64)).reshape(len(delta), -1)
    sizes = {"linf": flat.max(1), "l2": np.sqrt((flat**2).sum(1)), "l1": flat.sum(1)}
    return sizes[norm]
