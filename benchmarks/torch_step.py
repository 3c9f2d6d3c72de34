"""The IKL-AT training step in torch, for `benchmarks/train_step.py --torch`.

`benchmarks/accelerator.py` has it too, on its card, in bfloat16, and compiled.

Written independently of the library, after the authors' algorithm: natural logits are
recomputed at every step of the attack (unless `natural_once`), and the weight
perturbation is found on a proxy copy of the network, added, and taken off again. The
squared error is the closed form, so that only the rest of the step is compared.

Reference: Cui et al., https://arxiv.org/abs/2305.13948, 2024.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

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


class Form(NamedTuple):
    """A wide residual network's form.

    Attributes:
      depth: 6 n + 4, for n blocks in each group.
      width: factor of the groups' 16, 32 and 64 channels.
      num_classes: of the logits.
      swish: the variant with swish, and padding on one side at stride 2.
      normalize: means and deviations of the channels; None: the input is left as it is.
    """

    depth: int
    width: int
    num_classes: int
    swish: bool = False
    normalize: tuple[Sequence[float], Sequence[float]] | None = None


def conv3x3(inputs: int, outputs: int, stride: int, one_sided: bool) -> nn.Module:
    if stride == 2 and one_sided:
        convolution = nn.Conv2d(inputs, outputs, 3, stride, bias=False)
        return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), convolution)
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, swish: bool) -> None:
        super().__init__()
        self.activation = functional.silu if swish else functional.relu
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv3x3(inputs, outputs, stride, swish)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs, 1, swish)
        self.shortcut = None
        if inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        activated = self.activation(self.norm1(x))
        out = self.activation(self.norm2(self.conv1(activated)))
        return self.conv2(out) + (
            x if self.shortcut is None else self.shortcut(activated)
        )


class WideResNet(nn.Module):
    """Three groups of blocks, with the names of the Flax model's layers."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form
        self.activation = functional.silu if form.swish else functional.relu
        self.stem = conv3x3(3, 16, 1, form.swish)
        channels, self.blocks = 16, []
        for group, stride in ((1, 1), (2, 2), (3, 2)):
            outputs = 8 * 2**group * form.width
            for index in range((form.depth - 4) // 6):
                first = index == 0
                block = Block(channels, outputs, stride if first else 1, form.swish)
                self.blocks.append(f"group{group}_block{index}")
                self.add_module(self.blocks[-1], block)
                channels = outputs
        self.norm = nn.BatchNorm2d(channels)
        self.classifier = nn.Linear(channels, form.num_classes)
        for name, values in zip(
            ("mean", "deviation"), form.normalize or (), strict=False
        ):
            values = torch.tensor(values)[:, None, None]
            self.register_buffer(name, values, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.form.normalize is not None:
            x = (x - self.mean) / self.deviation
        x = self.stem(x)
        for name in self.blocks:
            x = self.get_submodule(name)(x)
        return self.classifier(self.activation(self.norm(x)).mean((2, 3)))

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes the weights of the Flax model: kernels are (height, width, in, out)."""
        state = self.state_dict()
        for path, array in arrays.items():
            module, _, name = path.rpartition(".")
            axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim, (0,))
            path = f"{module}.{NAMES[name]}"
            if path not in state:  # behind its padding
                path = f"{module}.1.{NAMES[name]}"
            state[path] = torch.tensor(array.transpose(axes))
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
        form: Form,
        natural_once: bool,
        device: str = "cpu",
        autocast: torch.dtype | None = None,
        compiled: bool = False,
    ) -> None:
        """A trainer that starts from the Flax model's arrays.

        Args:
          config: numbers of the loss, the attack, the perturbation and the optimiser.
          arrays: path to array, of parameters and of running statistics.
          form: of the network.
          natural_once: compute natural logits once in an attack, not at every step.
          device: torch's name of it.
          autocast: of the network's operations; None: float32.
          compiled: by `torch.compile`.
        """
        self.config = config
        self.natural_once = natural_once
        self.device, self.autocast = torch.device(device), autocast
        model = WideResNet(form)
        model.load(arrays)
        self.model = model.to(self.device, memory_format=torch.channels_last)
        self.proxy = copy.deepcopy(self.model)
        self.forward = {
            network: torch.compile(network) if compiled else network
            for network in (self.model, self.proxy)
        }
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
        classes = form.num_classes
        shape = (classes, classes)
        self.means = torch.full(shape, 1 / classes, device=self.device)
        self.total = torch.zeros_like(self.means)
        self.count = torch.zeros(classes, device=self.device)

    def losses(self, images: np.ndarray, labels: np.ndarray) -> Iterator[float]:
        """Each `next` runs one training step."""
        image = torch.from_numpy(images).to(self.device)
        label = torch.from_numpy(labels).long().to(self.device)
        while True:
            x = image.permute(0, 3, 1, 2).float() / 255
            yield self.step(x, label)

    def logits(self, network: nn.Module, x: Tensor) -> Tensor:
        """In float32, whatever the network computes in."""
        kind = self.device.type
        enabled = self.autocast is not None
        with torch.autocast(kind, dtype=self.autocast, enabled=enabled):
            return self.forward[network](x).float()

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
        self.count.index_add_(0, labels, torch.ones(len(labels), device=self.device))
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
                    natural = self.logits(self.model, x)
            x_adv.requires_grad_()
            logits = self.logits(self.model, x_adv)
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
        adversarial, natural = self.logits(model, x_adv), self.logits(model, x)
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
