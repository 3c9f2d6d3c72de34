"""Ten steps of IKL adversarial training in plain PyTorch, in float64.

    python -m tests.support.references.trajectory_reference      (PyTorch; no JAX and nothing of ours)

writes `golden/ikl_at_trajectory.npz`, which `test_trajectory.py` holds our step
against. It is written from the published description of the method: Cui et al.,
"Decoupled Kullback-Leibler Divergence Loss" (NeurIPS 2024), for the loss, its class
means and its attack; Zhang et al., "TRADES" (ICML 2019), for the attack's start and
the two forwards; Wu et al., "Adversarial Weight Perturbation Helps Robust
Generalization" (NeurIPS 2020), for the weights; and the settings that the published
CIFAR runs have (epsilon ramp, five steps of half an epsilon, cosine over E + 1).

Everything is the long way: the weighted MSE runs over pairs of classes, the natural
logits are asked for again at each step of the attack, and the perturbed weights are
written into the model and taken out of it again.

Start weights and noise are float16 numbers, to keep the file small; parameters and
momentum are recorded by norm and by two projections each (`directions`).
"""

import copy
import math
import pathlib

import numpy as np
import torch
from torch.nn import functional

from tests.support.references.trajectory_network import WideResNet10

FILE = pathlib.Path(__file__).parent.parent.parent / "golden" / "ikl_at_trajectory.npz"
STEPS, STEPS_PER_EPOCH, EPOCHS = 10, 4, 3
CLASSES, BATCH, SIDE = 5, 8, 8
EPSILON, ATTACK_STEPS, NOISE = 8 / 255, 5, 0.001
ALPHA, BETA, TEMPERATURE = 20.0, 4.0, 4.0
GAMMA, AWP_FROM = 0.005, 2
LEARNING_RATE, MOMENTUM, DECAY, AVERAGE = 0.05, 0.9, 5e-4, 0.9
ATTACKS = {"c100": (1.0, 1.0), "c10": (0.0, 1.0)}  # of alpha and beta


def soft_cross_entropy(adversarial, natural):
    """[B]; only the adversarial logits get a gradient."""
    target = functional.softmax(natural.detach(), dim=-1)
    return -(target * functional.log_softmax(adversarial, dim=-1)).sum(-1)


def weighted_mse(adversarial, natural, weights):
    """[B], over all pairs of classes; both logits get a gradient."""
    pairs = natural[:, :, None] - natural[:, None, :]
    pairs = pairs - (adversarial[:, :, None] - adversarial[:, None, :])
    pair_weights = weights[:, :, None] * weights[:, None, :]
    return 0.25 * (pair_weights * pairs**2).sum((1, 2))


def attack(model, x, start, weights, epsilon, alpha, beta):
    """Sign ascent in evaluation mode; the start itself is not projected."""
    model.eval()
    x_adv = start
    for _ in range(ATTACK_STEPS):
        x_adv = x_adv.detach().requires_grad_()
        logits, natural = model(x_adv), model(x).detach()
        loss = beta * soft_cross_entropy(logits, natural)
        loss = loss + alpha * weighted_mse(logits, natural, weights)
        (slope,) = torch.autograd.grad(loss.sum(), x_adv)
        x_adv = x_adv.detach() + epsilon / 2 * slope.sign()
        x_adv = torch.maximum(torch.minimum(x_adv, x + epsilon), x - epsilon)
        x_adv = x_adv.clamp(0, 1)
    return x_adv


def training_loss(model, x, x_adv, labels, weights):
    """Two forwards in training mode, the adversarial images first."""
    model.train()
    adversarial = model(x_adv)
    natural = model(x)
    parts = {
        "cross_entropy": functional.cross_entropy(natural, labels),
        "soft_cross_entropy": soft_cross_entropy(adversarial, natural).mean(),
        "weighted_mse": weighted_mse(adversarial, natural, weights).mean(),
    }
    loss = parts["cross_entropy"] + BETA * parts["soft_cross_entropy"]
    loss = loss + ALPHA * parts["weighted_mse"]
    return loss, parts | {"loss": loss}, natural.detach()


def weight_perturbation(model, *batch):
    """{name: v} on tensors of more than one dimension; the proxy is thrown away."""
    proxy = copy.deepcopy(model)
    loss, _, _ = training_loss(proxy, *batch)
    proxy.zero_grad()
    loss.backward()
    return {
        name: GAMMA * w.detach().norm() * w.grad / (w.grad.norm() + 1e-20)
        for name, w in proxy.named_parameters()
        if w.ndim > 1
    }


def add(model, perturbation, sign):
    with torch.no_grad():
        for name, w in model.named_parameters():
            if name in perturbation:
                w += sign * perturbation[name]


class ClassMeans:
    """Of softmax(z / T), by true label; uniform until the first epoch's end."""

    def __init__(self):
        self.mean = torch.full((CLASSES, CLASSES), 1 / CLASSES, dtype=torch.float64)
        self.total = torch.zeros_like(self.mean)

    def accumulate(self, logits, labels):
        predictions = functional.softmax(logits / TEMPERATURE, dim=-1)
        for row, label in zip(predictions, labels, strict=True):
            self.total[label] += row

    def advance(self):
        self.mean = self.total / self.total.sum(1, keepdim=True)
        self.total = torch.zeros_like(self.mean)


def learning_rate(epoch):
    """A cosine over E + 1, constant within its epoch, counted from 1."""
    return LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * epoch / (EPOCHS + 1)))


def directions(shape):
    """Two fixed arrays to project a tensor on."""
    index = np.arange(1, math.prod(shape) + 1, dtype=np.float64).reshape(shape)
    return np.cos(1.3 * index), np.cos(0.7 * index**1.1)


def fingerprint(value):
    """Norm, and the projection on each direction."""
    value = value.detach().numpy()
    projections = [np.sum(value * direction) for direction in directions(value.shape)]
    return np.array([np.linalg.norm(value), *projections])


def fingerprints(values):
    return np.stack([fingerprint(value) for value in values])


def statistics(model):
    """All running means and variances, one after the other."""
    kept = {name: v for name, v in model.state_dict().items() if "running" in name}
    return np.concatenate([value.numpy() for value in kept.values()])


def averaged(average, model):
    """Of the epochs' ends, statistics included; the first is taken as it is."""
    kept = {
        name: value.clone()
        for name, value in model.state_dict().items()
        if "num_batches" not in name
    }
    if average is None:
        return kept
    return {
        name: AVERAGE * average[name] + (1 - AVERAGE) * value
        for name, value in kept.items()
    }


def one_step(model, optimizer, means, epoch, x, labels, noise, strengths):
    """One batch; what is recorded of it."""
    epsilon = EPSILON * epoch / EPOCHS
    weights = means.mean[labels]
    x_adv = attack(model, x, x + NOISE * noise, weights, epsilon, *strengths)
    batch = (x, x_adv, labels, weights)
    v = weight_perturbation(model, *batch) if epoch >= AWP_FROM else {}
    add(model, v, +1)
    optimizer.zero_grad()
    loss, parts, natural = training_loss(model, *batch)
    loss.backward()
    optimizer.step()
    add(model, v, -1)
    means.accumulate(natural, labels)
    parameters = list(model.parameters())
    momentum = [optimizer.state[w]["momentum_buffer"] for w in parameters]
    moved = (x_adv - x).permute(0, 2, 3, 1).numpy() / epsilon
    return {name: value.item() for name, value in parts.items()} | {
        "epsilon": epsilon,
        "learning_rate": optimizer.param_groups[0]["lr"],
        "moved": np.round(moved * 32767).astype(np.int16),
        "class_mean": weights.numpy(),
        "class_total": means.total.numpy().copy(),
        "statistics": statistics(model),
        "parameters": fingerprints(parameters),
        "momentum": fingerprints(momentum),
    }


def trajectory(start, images, labels, noise, strengths):
    """{name: array over steps}, and the average's fingerprints at epochs' ends."""
    model = WideResNet10(CLASSES).double()
    model.load_state_dict(start, strict=False)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=1.0, momentum=MOMENTUM, weight_decay=DECAY
    )
    means, average, records, averages = ClassMeans(), None, [], []
    for step in range(STEPS):
        epoch = 1 + step // STEPS_PER_EPOCH
        optimizer.param_groups[0]["lr"] = learning_rate(epoch)
        batch = [value[step] for value in (images, labels, noise)]
        records.append(one_step(model, optimizer, means, epoch, *batch, strengths))
        if (step + 1) % STEPS_PER_EPOCH == 0:
            means.advance()
            average = averaged(average, model)
            averages.append(fingerprints(average.values()))
    record = {name: np.stack([r[name] for r in records]) for name in records[0]}
    return record | {
        "average": np.stack(averages),
        "average_names": np.array(list(average)),
    }


def drawn_start(rng):
    """A start whose running statistics are near the first batches'."""
    start = {}
    for name, value in WideResNet10(CLASSES).state_dict().items():
        if "num_batches" in name:
            continue
        drawn = rng.standard_normal(tuple(value.shape))
        if value.ndim > 1:
            # Logits of some size, so that the class means are far from uniform.
            drawn *= math.sqrt((2 if value.ndim == 4 else 12) / value[0].numel())
        elif name.endswith("weight"):
            drawn = 1 + 0.1 * drawn
        elif name.endswith("running_var"):
            drawn = 1 + 0.2 * np.abs(drawn)
        else:
            drawn *= 0.1
        start[name] = drawn.astype(np.float16)
    return start


def drawn_batches(rng):
    """uint8 [S, B, H, W, 3] of a colour pattern a class, labels [S, B], noise."""
    # Every class is in every epoch, in uneven numbers.
    labels = np.stack(
        [
            rng.permutation([*range(CLASSES), *rng.integers(CLASSES, size=3)])
            for _ in range(STEPS)
        ]
    )
    patterns = rng.uniform(0, 255, (CLASSES, SIDE // 4, SIDE // 4, 3))
    patterns = patterns.repeat(4, axis=1).repeat(4, axis=2)
    shape = (STEPS, BATCH, SIDE, SIDE, 3)
    images = 128 + 0.5 * (patterns[labels] - 128) + rng.normal(0, 50, shape)
    images = np.clip(np.round(images), 0, 255).astype(np.uint8)
    return images, labels, rng.standard_normal(shape).astype(np.float16)


def main():
    rng = np.random.default_rng(20)
    start = drawn_start(rng)
    images, labels, noise = drawn_batches(rng)
    weights = {name: torch.tensor(value).double() for name, value in start.items()}
    pixels = torch.tensor(images).double().permute(0, 1, 4, 2, 3) / 255
    noises = torch.tensor(noise).double().permute(0, 1, 4, 2, 3)
    recorded = {f"start/{name}": value for name, value in start.items()}
    recorded |= {"images": images, "labels": labels, "noise": noise}
    for name, strengths in ATTACKS.items():
        record = trajectory(weights, pixels, torch.tensor(labels), noises, strengths)
        recorded |= {f"{name}/{key}": value for key, value in record.items()}
        for step in range(STEPS):
            columns = ("loss", "cross_entropy", "soft_cross_entropy", "weighted_mse")
            values = [f"{record[column][step]:.6f}" for column in columns]
            print(name, step, *values, f"{record['epsilon'][step]:.5f}")
    np.savez_compressed(FILE, **recorded)


if __name__ == "__main__":
    main()
