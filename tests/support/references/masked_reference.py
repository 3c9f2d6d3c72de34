"""The losses with masks, in NumPy float64: what is infinite or NaN is so by definition.

Each function takes `[B, C]` logits, of which those that are left out are minus infinity
in both, and returns the losses `[B]` and their gradients with respect to both logits.
"""

import dataclasses

import numpy as np

# Probabilities that float32 cannot hold are zero.
SMALLEST = float(np.finfo(np.float32).tiny)


@dataclasses.dataclass
class Case:
    """A batch with everything that a loss may depend on; scalars are `[B]`."""

    n: np.ndarray
    m: np.ndarray
    weights: np.ndarray
    labels: np.ndarray
    lowest: float
    alpha: np.ndarray
    beta: np.ndarray
    gamma: np.ndarray
    temperature: np.ndarray
    target_temperature: np.ndarray

    def __post_init__(self):
        self.kept = ~(np.isneginf(self.n) & np.isneginf(self.m))
        self.left_out = ~self.kept.any(-1)
        self.weighted = ~(self.m <= self.lowest)

    def zero_where_left_out(self, loss, *gradients):
        loss = np.where(self.left_out, 0.0, loss)
        return loss, *(np.where(self.kept, g, 0.0) for g in gradients)


def softmax(x, keep):
    top = np.where(keep, x, -np.inf).max(-1, keepdims=True)
    e = np.where(keep, np.exp(x - top), 0.0)
    total = e.sum(-1, keepdims=True)
    log = (x - top) - np.log(total)
    p = e / total
    return np.where(p < SMALLEST, 0.0, p), log


def times(weight, x):
    """Zero times anything is zero."""
    return np.where(weight == 0, 0.0, weight * x)


def coefficient(a, x):
    """`a * x`; zero times infinity is zero, but NaN stays NaN."""
    return np.where(np.isinf(x), times(a, x), a * x)


def kl(case, n=None, m=None, keep=None):
    n, m = (case.n if n is None else n), (case.m if m is None else m)
    keep = case.kept if keep is None else keep
    t = case.temperature[:, None]
    (q, log_q), (p, log_p) = softmax(n / t, keep), softmax(m / t, keep)
    ratio = log_p - log_q
    loss = times(p, ratio).sum(-1)
    by_m = times(p, ratio - loss[:, None]) / t
    by_m = np.where(np.isposinf(loss)[:, None], 0.0, by_m)
    by_m = np.where(np.isnan(loss)[:, None], np.nan, by_m)
    return case.zero_where_left_out(loss, (q - p) / t, by_m)


def soft_cross_entropy(case):
    t, t_m = case.temperature[:, None], case.target_temperature[:, None]
    (q, log_q), (p, _) = (
        softmax(case.n / t, case.kept),
        softmax(case.m / t_m, case.kept),
    )
    loss = -times(p, log_q).sum(-1) + 0 * q.sum(-1)
    return case.zero_where_left_out(loss, (q - p) / t, np.zeros_like(p))


def weighted_mse(case, w):
    """One pair of classes after another."""
    w = np.where(case.weighted & case.kept, w, 0.0)
    d = np.where(w == 0, 0.0, case.m - case.n)
    pairs = d[:, :, None] - d[:, None, :]
    products = w[:, :, None] * w[:, None, :]
    loss = 0.25 * times(products, pairs**2).sum((1, 2))
    by_m = times(products, pairs).sum(2)
    infinite = (np.isinf(d) & (w != 0)).any(-1)  # one difference at least
    loss = np.where(infinite, np.inf, loss)
    by_m = np.where(infinite[:, None], 0.0, by_m)
    return case.zero_where_left_out(loss, -by_m, by_m)


def decoupled(case, w, stops_prediction=False, plain=False):
    if plain:  # DKL has no temperature
        ones = np.ones_like(case.alpha)
        case = dataclasses.replace(case, temperature=ones, target_temperature=ones)
    squared, by_n, by_m = weighted_mse(case, w)
    cross_entropy, ce_by_n, _ = soft_cross_entropy(case)
    a, b = case.alpha, case.beta
    loss = coefficient(a, squared) + coefficient(b, cross_entropy)
    first = 0.0 if stops_prediction else a[:, None] * by_n
    return loss, first + b[:, None] * ce_by_n, a[:, None] * by_m


def dkl(case):
    return decoupled(case, softmax(case.m, case.kept)[0], True, plain=True)


def ikl(case):
    return decoupled(case, case.weights)


def ikl_sample(case):
    return decoupled(case, softmax(case.m, case.kept)[0])


def gkl(case):
    """IKL with w^gamma over the root of the mean of (sum_j w_j^gamma)^2."""
    keep = case.weighted & case.kept
    w = np.where(keep, case.weights ** case.gamma[:, None], 0.0)
    total = w.sum(-1)
    counts = keep.any(-1) & np.isfinite(total)
    size = np.sqrt(np.mean(total[counts] ** 2)) if counts.any() else 1.0
    return decoupled(case, w / (size if size > 0 else 1.0))


def kd(case):
    loss, by_n, by_m = kl(case)
    square = case.temperature**2
    return square * loss, square[:, None] * by_n, np.zeros_like(by_m)


def dkd(case):
    """T^2 (alpha KL of "label or not" + beta KL of the other classes)."""
    rows, t = np.arange(len(case.n)), case.temperature[:, None]
    is_label = np.zeros(case.n.shape, bool)
    is_label[rows, case.labels] = True
    others = case.kept & ~is_label
    logs = [softmax(x / t, case.kept)[1] for x in (case.n, case.m)]
    log_two = [
        np.stack(
            [
                x[rows, case.labels],
                np.logaddexp.reduce(np.where(others, x, -np.inf), -1),
            ],
            -1,
        )
        for x in logs
    ]
    two_q, two_p = (np.where(np.exp(x) < SMALLEST, 0.0, np.exp(x)) for x in log_two)
    target = times(two_p, log_two[1] - log_two[0]).sum(-1)
    single = ~others.any(-1)
    q_o, _ = softmax(case.n / t, others)
    other, other_by_n, _ = kl(case, keep=others)
    other = np.where(single, 0.0, other)
    excess = (two_q - two_p)[:, :1] / t
    target_by_n = np.where(is_label, excess, np.where(others, -excess * q_o, 0.0))
    other_by_n = np.where(others, other_by_n, 0.0)
    a, b, square = case.alpha, case.beta, case.temperature**2
    loss = square * (coefficient(a, target) + coefficient(b, other))
    by_n = a[:, None] * target_by_n + b[:, None] * other_by_n
    by_n = np.where(np.isnan(loss)[:, None], np.nan, square[:, None] * by_n)
    # Without a label there is no loss, and nothing to follow.
    known = case.kept[rows, case.labels]
    loss = np.where(known, loss, np.nan)
    by_n = np.where(known[:, None], by_n, 0.0)
    return case.zero_where_left_out(loss, by_n, np.zeros_like(by_n))


LOSSES = {
    "kl": kl,
    "soft_ce": soft_cross_entropy,
    "wmse": lambda case: weighted_mse(case, case.weights),
    "dkl": dkl,
    "ikl": ikl,
    "ikl_sample": ikl_sample,
    "gkl": gkl,
    "kd": kd,
    "dkd": dkd,
}
