"""The equations in NumPy float64, in the pairwise form: what the library must equal."""

import numpy as np


def softmax(x):
    shifted = np.exp(x - x.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def log_softmax(x):
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def kl(n, m, temperature=1.0):
    log_p, log_q = log_softmax(m / temperature), log_softmax(n / temperature)
    return (np.exp(log_p) * (log_p - log_q)).sum(-1)


def soft_cross_entropy(n, m, temperature=1.0, target_temperature=None):
    target_temperature = target_temperature or temperature
    p = softmax(m / target_temperature)
    return -(p * log_softmax(n / temperature)).sum(-1)


def weighted_mse(n, m, w):
    """1/4 sum_jk w_j w_k ((m_j - m_k) - (n_j - n_k))^2, one pair at a time."""
    pairs_m = m[..., :, None] - m[..., None, :]
    pairs_n = n[..., :, None] - n[..., None, :]
    weights = w[..., :, None] * w[..., None, :]
    return 0.25 * (weights * (pairs_m - pairs_n) ** 2).sum((-1, -2))


def ikl(n, m, w, alpha=1.0, beta=1.0, temperature=1.0, target_temperature=None):
    cross_entropy = soft_cross_entropy(n, m, temperature, target_temperature)
    return alpha * weighted_mse(n, m, w) + beta * cross_entropy


def gkl(n, m, w, alpha=1.0, beta=1.0, gamma=1.0, temperature=1.0):
    w = w**gamma
    normaliser = np.mean(w.sum(-1) ** 2)
    cross_entropy = soft_cross_entropy(n, m, temperature)
    return alpha * weighted_mse(n, m, w) / normaliser + beta * cross_entropy


def dkd(n, m, labels, alpha, beta, temperature):
    """Target-class and non-target-class KL, one example at a time."""
    losses = []
    for n_b, m_b, label in zip(n / temperature, m / temperature, labels, strict=True):
        p, q = softmax(m_b), softmax(n_b)
        two_p = np.array([p[label], np.delete(p, label).sum()])
        two_q = np.array([q[label], np.delete(q, label).sum()])
        target = (two_p * (np.log(two_p) - np.log(two_q))).sum()
        others = kl(np.delete(n_b, label), np.delete(m_b, label))
        losses.append(temperature**2 * (alpha * target + beta * others))
    return np.array(losses)
