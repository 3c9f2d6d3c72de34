"""WRN-10-1 in plain PyTorch, with torch's names of its layers."""

from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Pre-activation; where shapes differ the short cut starts after the ReLU."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, padding=1, bias=False)
        if inputs != outputs:
            self.convShortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x):
        active = functional.relu(self.bn1(x))
        short = self.convShortcut(active) if hasattr(self, "convShortcut") else x
        return short + self.conv2(functional.relu(self.bn2(self.conv1(active))))


class Group(nn.Module):
    def __init__(self, *arguments):
        super().__init__()
        self.layer = nn.Sequential(Block(*arguments))

    def forward(self, x):
        return self.layer(x)


class WideResNet10(nn.Module):
    """WRN-10-1: one block a group."""

    def __init__(self, num_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.block1 = Group(16, 16, 1)
        self.block2 = Group(16, 32, 2)
        self.block3 = Group(32, 64, 2)
        self.bn1 = nn.BatchNorm2d(64)
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(functional.relu(self.bn1(x)).mean((2, 3)))
