"""FixMatch and Mean Teacher in NumPy float64, written from their descriptions.

The network is Dense, BatchNorm, tanh, Dense, with its gradient written out. Losses are
in the pairwise form. Nothing here is shared with the recipes.
"""

import dataclasses

import numpy as np

from tests.support.references.reference import log_softmax, softmax

EPSILON, BN_MOMENTUM, DECAYED = 1e-5, 0.1, ("W1", "W2")


def forward(p, x, statistics=None):
    """Logits, what the gradient needs, and the batch's mean and biased variance."""
    h = x @ p["W1"] + p["b1"]
    mean, var = (h.mean(0), h.var(0)) if statistics is None else statistics
    normal = (h - mean) / np.sqrt(var + EPSILON)
    t = np.tanh(p["scale"] * normal + p["bias"])
    return t @ p["W2"] + p["b2"], (x, normal, t, var), (mean, var)


def backward(p, kept, to_logits):
    """Gradients of the parameters, where BatchNorm used the batch's statistics."""
    x, normal, t, var = kept
    grads = {"W2": t.T @ to_logits, "b2": to_logits.sum(0)}
    z = (to_logits @ p["W2"].T) * (1 - t**2)
    grads |= {"scale": (z * normal).sum(0), "bias": z.sum(0)}
    n = z * p["scale"]
    h = (n - n.mean(0) - normal * (n * normal).mean(0)) / np.sqrt(var + EPSILON)
    return grads | {"W1": x.T @ h, "b1": h.sum(0)}


def updated_statistics(running, batch, count):
    mean, var = batch
    unbiased = var * count / (count - 1)
    return tuple(
        (1 - BN_MOMENTUM) * old + BN_MOMENTUM * new
        for old, new in zip(running, (mean, unbiased), strict=True)
    )


def pair_weighted(n, m, w, alpha):
    """alpha/4 sum_jk w_j w_k (dm_jk - dn_jk)^2 for each example, and its slope in n."""
    d = m - n
    pairs = d[:, :, None] - d[:, None, :]
    both = w[:, :, None] * w[:, None, :]
    return 0.25 * alpha * (both * pairs**2).sum((1, 2)), -alpha * (both * pairs).sum(2)


def ikl(n, m, w, s):
    """Values, and slopes in n and in m; the soft cross-entropy's target is fixed."""
    squared, slope = pair_weighted(n, m, w, s.alpha)
    wanted = softmax(m / s.target_temperature)
    soft = -(wanted * log_softmax(n)).sum(-1)
    return squared + s.beta * soft, slope + s.beta * (softmax(n) - wanted), -slope


def mse(n, m, w, s):
    p, q = softmax(n), softmax(m / s.target_temperature)
    slope = 2 / n.shape[-1] * (p - q)
    back = lambda prob, g: prob * (g - (prob * g).sum(-1, keepdims=True))
    to_m = -back(q, slope) / s.target_temperature
    return ((p - q) ** 2).mean(-1), back(p, slope), to_m


def hard_cross_entropy(n, m, w, s):
    hard = np.eye(n.shape[-1])[m.argmax(-1)]
    return -(hard * log_softmax(n)).sum(-1), softmax(n) - hard, np.zeros_like(m)


@dataclasses.dataclass
class Settings:
    """Of a run; `rising` is the number of steps in which the weight grows."""

    loss: object
    steps_per_epoch: int
    mean_teacher: bool = False
    both: bool = False
    two_passes: bool = False
    class_means: bool = False
    threshold: float = 0.0
    rising: float = 0.0
    strength: float = 1.0
    alpha: float = 1.0
    beta: float = 1.0
    target_temperature: float = 1.0
    learning_rate: float = 0.1
    momentum: float = 0.9
    decay: float = 5e-4
    average: float = 0.75


class Run:
    """The state of a run, and its steps."""

    def __init__(self, parameters, statistics, settings):
        self.p, self.running, self.s = parameters, statistics, settings
        self.teacher = dict(parameters), statistics
        self.velocity = {name: np.zeros_like(v) for name, v in parameters.items()}
        classes = parameters["b2"].size
        self.means = np.full((classes, classes), 1 / classes)
        self.total = np.zeros_like(self.means)
        self.steps = 0

    def step(self, labelled, labels, weak, strong):
        s, p = self.s, self.p
        images = [labelled, strong] if s.mean_teacher else [labelled, weak, strong]
        passes = (
            [[0], [*range(1, len(images))]] if s.two_passes else [range(len(images))]
        )
        logits, kept = {}, []
        for kinds in passes:
            x = np.concatenate([images[kind] for kind in kinds])
            out, saved, batch = forward(p, x)
            self.running = updated_statistics(self.running, batch, len(x))
            ends = np.cumsum([len(images[kind]) for kind in kinds])[:-1]
            logits |= dict(zip(kinds, np.split(out, ends), strict=True))
            kept.append((kinds, saved))
        if s.mean_teacher:
            target, prediction = forward(*self.teacher_on(weak))[0], logits[1]
        else:
            target, prediction = logits[1], logits[2]
        value, slopes = self.slopes(logits[0], labels, target, prediction)
        grads = {name: np.zeros_like(v) for name, v in p.items()}
        for kinds, saved in kept:
            to_logits = np.concatenate([slopes[kind] for kind in kinds])
            for name, grad in backward(p, saved, to_logits).items():
                grads[name] += grad
        self.descend(grads)
        self.steps += 1
        self.follow()
        if self.steps % s.steps_per_epoch == 0:
            self.end_epoch()
        return value

    def teacher_on(self, weak):
        parameters, statistics = self.teacher
        return parameters, weak, statistics

    def slopes(self, z, labels, target, prediction):
        """The loss, and its slope in the logits of each kind of image that passed."""
        s, count = self.s, len(target)
        onehot = np.eye(z.shape[-1])[labels]
        supervised = -(onehot * log_softmax(z)).sum(-1).mean()
        pseudo, sure = target.argmax(-1), softmax(target).max(-1) >= s.threshold
        w = self.means[pseudo] if s.class_means else softmax(target)
        values, to_n, to_m = s.loss(prediction, target, w, s)
        share = min(self.steps / s.rising, 1.0) if s.rising else 1.0
        scale = s.strength * share * sure[:, None] / count
        if s.class_means:
            for row, label, counts in zip(softmax(target), pseudo, sure, strict=True):
                self.total[label] += row * counts
        found = [(softmax(z) - onehot) / len(z)]
        if not s.mean_teacher:
            found.append(scale * to_m * s.both)
        consistency = (values * sure).mean()
        return supervised + s.strength * share * consistency, [*found, scale * to_n]

    def descend(self, grads):
        s = self.s
        for name, value in self.p.items():
            grad = grads[name] + (s.decay * value if name in DECAYED else 0)
            self.velocity[name] = s.momentum * self.velocity[name] + grad
        self.p = {
            name: value - s.learning_rate * self.velocity[name]
            for name, value in self.p.items()
        }

    def follow(self):
        """The first average is a copy of the weights after the first step."""
        decay = float(np.float32(self.s.average)) if self.steps > 1 else 0.0
        mix = lambda old, new: decay * old + (1 - decay) * new
        parameters, statistics = self.teacher
        parameters = {name: mix(parameters[name], self.p[name]) for name in self.p}
        self.teacher = parameters, tuple(map(mix, statistics, self.running))

    def end_epoch(self):
        seen = self.total.sum(1) > 0
        self.means[seen] = self.total[seen] / self.total[seen].sum(1, keepdims=True)
        self.total = np.zeros_like(self.total)
