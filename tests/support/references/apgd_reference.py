"""APGD for one example, from the paper's description, in NumPy float64."""

import itertools
import math
from fractions import Fraction

import numpy as np


class Perceptron:
    """Two layers with tanh, with their gradient written out."""

    def __init__(self, seed, inputs=6, hidden=8, classes=5, scale=4.0):
        rng = np.random.default_rng(seed)
        self.first = scale * rng.standard_normal((inputs, hidden)) / np.sqrt(inputs)
        self.second = scale * rng.standard_normal((hidden, classes)) / np.sqrt(hidden)

    def logits(self, x, xp=np):
        return xp.tanh((x - 0.5) @ xp.asarray(self.first)) @ xp.asarray(self.second)

    def cross_entropy(self, x, label):
        """The loss, its gradient and the prediction."""
        hidden = np.tanh((x - 0.5) @ self.first)
        logits = hidden @ self.second
        p = np.exp(logits - logits.max())
        p /= p.sum()
        residual = p - (np.arange(len(p)) == label)
        gradient = self.first @ ((1 - hidden**2) * (self.second @ residual))
        return -np.log(p[label]), gradient, logits.argmax()


def nearest(z, x, epsilon, norm):
    delta = z - x
    if norm == "linf":
        delta = np.clip(delta, -epsilon, epsilon)
    elif np.linalg.norm(delta) > epsilon:
        delta = epsilon * delta / np.linalg.norm(delta)
    return np.clip(x + delta, 0.0, 1.0)


def direction(gradient, norm):
    return np.sign(gradient) if norm == "linf" else gradient / np.linalg.norm(gradient)


def search(network, x, label, start, epsilon, norm, steps, before=None, rho=0.75):
    """The last, best and first wrong iterate, where it halved, and by what `margin`.

    The margin is the least difference of losses that any decision rests on: near
    convergence it is of the size of rounding, and what follows is arbitrary.
    """
    start = np.clip(start, 0.0, 1.0)
    length = max(int(0.22 * steps), 1)
    loss, gradient, prediction = network.cross_entropy(start, label)
    iterates, values, wrong = [start], [loss], [prediction != label]
    best = best_at_check = (loss, start, gradient)
    older = newer = start
    margin = np.inf
    step, since, was_halved, halved = 2 * epsilon, 0, True, []
    for i in range(steps):
        z = nearest(newer + step * direction(gradient, norm), x, epsilon, norm)
        part = 0.75 if i else 1.0
        z = newer + part * (z - newer) + (1 - part) * (newer - older)
        older, newer = newer, nearest(z, x, epsilon, norm)
        loss, gradient, prediction = network.cross_entropy(newer, label)
        iterates.append(newer)
        values.append(loss)
        wrong.append(prediction != label)
        margin = min(margin, abs(loss - best[0]), abs(loss - values[-2]))
        if loss > best[0]:
            best = (loss, newer, gradient)
        since += 1
        if since < length:
            continue
        compared = [values[0] if before is None else before, *values[1:]]
        window = compared[i + 1 - length : i + 2]
        increases = sum(b > a for a, b in itertools.pairwise(window))
        halve = increases <= rho * length
        halve |= not was_halved and best_at_check[0] >= best[0]
        was_halved, best_at_check, since = halve, best, 0
        if halve:
            step /= 2
            newer, gradient = best[1], best[2]
            halved.append(i)
        length = max(length - max(int(0.03 * steps), 1), max(int(0.06 * steps), 1))
    return dict(
        best=best[1], loss=best[0], last=newer, step=step, halved=halved,
        first_wrong=iterates[wrong.index(True)] if any(wrong) else x,
        broken=any(wrong), margin=margin,
    )  # fmt: skip


def l1_in_box(z, x, epsilon):
    """The nearest point of ball and box, by bisection on the multiplier."""
    delta = z - x
    room = np.where(delta > 0, 1 - x, x)
    at = lambda amount: np.clip(np.abs(delta) - amount, 0, room)
    low, high = 0.0, np.abs(delta).max()
    if at(0.0).sum() <= epsilon:
        high = 0.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle).sum() > epsilon else (low, middle)
    return x + np.sign(delta) * at(high)


def search_l1(network, x, label, start, epsilon, steps):
    """The best point that l1-APGD finds, from a start that may lie anywhere."""
    first = int(np.ceil(0.3 * steps))
    parts = [(3, first), (2, first), (1, steps - 2 * first)]
    checks = 0
    for radius, count in parts:
        radius *= epsilon
        newer = l1_in_box(start, x, radius)
        loss, gradient, _ = network.cross_entropy(newer, label)
        best, step = (loss, newer, gradient), radius
        nonzero = np.count_nonzero(newer - x)
        interval = max(int(0.04 * count), 1)
        for i in range(count):
            density = Fraction(nonzero, x.size) / Fraction(3, 2)
            rank = min(math.floor((1 - density) * x.size), x.size - 1)
            chosen = np.abs(gradient) >= np.sort(np.abs(gradient))[rank]
            newer = newer + step * np.sign(gradient) * chosen / chosen.sum()
            newer = l1_in_box(newer, x, radius)
            loss, gradient, _ = network.cross_entropy(newer, label)
            if loss > best[0]:
                best = (loss, newer, gradient)
            if (i + 1) % interval == 0:
                remaining = np.count_nonzero(best[1] - x)
                sparser = remaining < Fraction(95, 100) * nonzero
                nonzero = remaining
                step = radius if sparser else max(step / 1.5, radius / 10)
                if sparser:
                    newer, gradient = best[1], best[2]
                    checks += 1
        start = best[1]
    return dict(best=best[1], loss=best[0], last=newer, step=step, restarts=checks)
