"""The IKL-AT training step in torch, for `benchmarks/train_step.py --torch`.

Written independently of the library, after the authors' algorithm: natural logits are
recomputed at every step of the attack (unless `natural_once`), and the weight
perturbation is found on a proxy copy of the network, added, and taken off again. The
squared error is the closed form, so that only the rest of the step is compared.

Reference: Cui et al., https://arxiv.org/abs/2305.13948, 2024.
"""

import copy
from collections.abc import Iterator, Mapping

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor, nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional  # pyright: ignore[reportMissingImports]

from train.base.config import Config

# Names of the last part of an array's path, in Flax and in torch.
NAMES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


def set_threads(number: int) -> None:
    torch.set_num_threads(number)


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        activated = functional.relu(self.norm1(x))
        out = functional.relu(self.norm2(self.conv1(activated)))
        return self.conv2(out) + self.shortcut(activated)


class WideResNet(nn.Module):
    """Depth 10, width 2: three blocks, each of which changes the number of channels."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.stem = conv3x3(3, 16)
        self.group1_block0 = Block(16, 32, 1)
        self.group2_block0 = Block(32, 64, 2)
        self.group3_block0 = Block(64, 128, 2)
        self.norm = nn.BatchNorm2d(128)
        self.classifier = nn.Linear(128, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.group1_block0(self.stem(x))
        x = self.group3_block0(self.group2_block0(x))
        return self.classifier(functional.relu(self.norm(x)).mean((2, 3)))

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes the weights of the Flax model: kernels are (height, width, in, out)."""
        state = self.state_dict()
        for path, array in arrays.items():
            module, _, name = path.rpartition(".")
            axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim, (0,))
            state[f"{module}.{NAMES[name]}"] = torch.tensor(array.transpose(axes))
        self.load_state_dict(state)


def ikl(
    adversarial: Tensor, natural: Tensor, weights: Tensor, alpha: float, beta: float
) -> Tensor:
    difference = natural - adversarial
    total = weights.sum(-1, keepdim=True)
    mean = (weights * difference).sum(-1, keepdim=True) / total
    squared_error = 0.5 * (total * weights * (difference - mean) ** 2).sum(-1)
    target = functional.softmax(natural, -1).detach()
    cross_entropy = -(target * functional.log_softmax(adversarial, -1)).sum(-1)
    return alpha * squared_error + beta * cross_entropy


class Trainer:
    """The network, its optimiser and the class means."""

    def __init__(
        self,
        config: Config,
        arrays: Mapping[str, np.ndarray],
        *,
        natural_once: bool,
    ) -> None:
        num_classes = len(arrays["classifier.bias"])
        self.config = config
        self.natural_once = natural_once
        self.model = WideResNet(num_classes).to(memory_format=torch.channels_last)
        self.model.load(arrays)
        self.proxy = copy.deepcopy(self.model)
        vectors = [leaf for leaf in self.model.parameters() if leaf.ndim < 2]
        self.optimizer = torch.optim.SGD(
            [
                {"params": matrices(self.model)},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=config.optimizer.learning_rate,
            momentum=config.optimizer.momentum,
            weight_decay=config.optimizer.weight_decay,
        )
        self.means = torch.full((num_classes, num_classes), 1 / num_classes)
        self.total = torch.zeros_like(self.means)
        self.count = torch.zeros(num_classes)

    def losses(self, images: np.ndarray, labels: np.ndarray) -> Iterator[float]:
        """Each `next` runs one training step."""
        image, label = torch.from_numpy(images), torch.from_numpy(labels).long()
        while True:
            x = image.permute(0, 3, 1, 2).float() / 255
            yield self.step(x, label)

    def step(self, x: Tensor, labels: Tensor) -> float:
        class_weights = self.means[labels]
        x_adv = self.attack(x, class_weights)
        moves = self.weight_moves(x, x_adv, labels, class_weights)
        self.shift(moves, 1)
        self.optimizer.zero_grad()
        loss, natural = self.loss(self.model, x, x_adv, labels, class_weights)
        loss.backward()
        self.shift(moves, -1)
        self.optimizer.step()
        temperature = self.config.loss.weight_temperature
        predictions = functional.softmax(natural.detach() / temperature, -1)
        self.total.index_add_(0, labels, predictions)
        self.count.index_add_(0, labels, torch.ones(len(labels)))
        return loss.item()

    def attack(self, x: Tensor, class_weights: Tensor) -> Tensor:
        """PGD on IKL with BatchNorm's running statistics."""
        config = self.config.attack
        size = config.relative_step_size * config.epsilon
        self.model.eval()
        natural = None
        x_adv = x + config.start_scale * torch.randn_like(x)
        for _ in range(config.steps):
            if natural is None or not self.natural_once:
                with torch.no_grad():
                    natural = self.model(x)
            x_adv.requires_grad_()
            logits = self.model(x_adv)
            loss = ikl(logits, natural, class_weights, config.alpha, config.beta).sum()
            (gradient,) = torch.autograd.grad(loss, x_adv)
            x_adv = x_adv.detach() + size * gradient.sign()
            x_adv = torch.clamp(x_adv, x - config.epsilon, x + config.epsilon)
            x_adv = x_adv.clamp(0.0, 1.0)
        self.model.train()
        return x_adv

    def loss(
        self,
        model: nn.Module,
        x: Tensor,
        x_adv: Tensor,
        labels: Tensor,
        class_weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The training loss and the natural logits."""
        config = self.config.loss
        adversarial, natural = model(x_adv), model(x)
        cross_entropy = functional.cross_entropy(natural, labels)
        divergence = ikl(adversarial, natural, class_weights, config.alpha, config.beta)
        return cross_entropy + config.strength * divergence.mean(), natural

    def weight_moves(self, *inputs: Tensor) -> list[Tensor]:
        """What adversarial weight perturbation adds to each matrix."""
        self.proxy.load_state_dict(self.model.state_dict())
        self.proxy.train()
        weights = matrices(self.proxy)
        loss, _ = self.loss(self.proxy, *inputs)
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            return [
                self.config.awp.gamma
                * weight.norm()
                * gradient
                / (gradient.norm() + 1e-20)
                for weight, gradient in zip(weights, gradients, strict=True)
            ]

    @torch.no_grad()
    def shift(self, moves: list[Tensor], sign: int) -> None:
        for weight, move in zip(matrices(self.model), moves, strict=True):
            weight.add_(move, alpha=sign)


def matrices(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that are perturbed and decayed: not biases, not BatchNorm's."""
    return [leaf for leaf in model.parameters() if leaf.ndim > 1]
