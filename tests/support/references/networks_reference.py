"""Golden logits of vision transformers and of pre-activation ResNets, by torch.

    python -m tests.support.references.networks_reference    (PyTorch and timm; no JAX)

writes `golden/networks.json`, with the names and shapes of the parameters, and
`golden/networks.npz`, with the logits of two images in evaluation and, where there is
BatchNorm, in training. The vision transformers are timm's own; USB's is timm's in the
size that USB's has. The pre-activation ResNets are plain PyTorch, written from He et
al., "Identity Mappings in Deep Residual Networks" (2016). Weights are drawn by their
names (`torch_reference.py`), so they are not stored.

`positions/SIDE` in the second file is what timm makes of drawn positions of 14 x 14
patches, for another number of them.
"""

import json

import numpy as np
import torch
from timm.layers import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn import functional

from tests.support.references.torch_reference import (
    GOLDEN,
    POSITIONS,
    SIDES,
    drawn,
    generator,
)

CLASSES = 7


class Block(nn.Module):
    """BatchNorm, ReLU and convolution, once for each size in `sizes`."""

    def __init__(self, inputs, widths, sizes, stride):
        super().__init__()
        channels = (inputs, *widths)
        # A bottleneck's stride is that of its 3x3 convolution, a basic block's that of
        # its first one.
        strided = sizes.index(3)
        for number, size in enumerate(sizes):
            step = stride if number == strided else 1
            norm = nn.BatchNorm2d(channels[number])
            convolution = nn.Conv2d(
                channels[number],
                channels[number + 1],
                size,
                step,
                size // 2,
                bias=False,
            )
            setattr(self, f"bn{number + 1}", norm)
            setattr(self, f"conv{number + 1}", convolution)
        self.count = len(sizes)
        if stride != 1 or inputs != channels[-1]:
            convolution = nn.Conv2d(inputs, channels[-1], 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution)

    def forward(self, x):
        out, short = x, x
        for number in range(1, self.count + 1):
            out = functional.relu(getattr(self, f"bn{number}")(out))
            if number == 1 and hasattr(self, "shortcut"):
                short = self.shortcut(out)
            out = getattr(self, f"conv{number}")(out)
        return out + short


class PreActResNet(nn.Module):
    """Four groups of blocks; `ends_in_norm`: BatchNorm and a ReLU after the last."""

    def __init__(self, counts, sizes, expansion, ends_in_norm):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        inputs = 64
        for group, count in enumerate(counts, 1):
            width, blocks = 32 * 2**group, []
            widths = (*(width for _ in sizes[1:]), width * expansion)
            for index in range(count):
                stride = 2 if group > 1 and index == 0 else 1
                blocks.append(Block(inputs, widths, sizes, stride))
                inputs = widths[-1]
            setattr(self, f"layer{group}", nn.Sequential(*blocks))
        if ends_in_norm:
            self.bn = nn.BatchNorm2d(inputs)
        self.linear = nn.Linear(inputs, CLASSES)

    def forward(self, x):
        x = self.conv1(x)
        for group in range(1, 5):
            x = getattr(self, f"layer{group}")(x)
        if hasattr(self, "bn"):
            x = functional.relu(self.bn(x))
        return self.linear(x.mean((2, 3)))


def transformer(image, patch, width, depth=12):
    return VisionTransformer(
        img_size=image, patch_size=patch, embed_dim=width, depth=depth,
        num_heads=width // 64, num_classes=CLASSES,
    )  # fmt: skip


# {name: (side of the images, how the network is made)}
NETWORKS = {
    "vit_tiny_patch16_224": (224, lambda: transformer(224, 16, 192)),
    "vit_small_patch16_224": (224, lambda: transformer(224, 16, 384)),
    "vit_base_patch16_224": (224, lambda: transformer(224, 16, 768)),
    "vit_small_patch2_32": (32, lambda: transformer(32, 2, 384)),
    "vit_patch4_2_128": (24, lambda: transformer(24, 4, 128, depth=2)),
} | {
    f"preact_resnet{depth}{'_bn' * ends_in_norm}": (
        32,
        lambda arguments=(*arguments, ends_in_norm): PreActResNet(*arguments),
    )
    for depth, arguments in (
        (18, ((2, 2, 2, 2), (3, 3), 1)),
        (50, ((3, 4, 6, 3), (1, 3, 1), 4)),
    )
    for ends_in_norm in (False, True)
}


def record(name, side, network):
    """A network's entry of the first file, and its logits."""
    shapes = {
        n: list(p.shape)
        for n, p in network.state_dict().items()
        if not n.endswith("num_batches_tracked")
    }
    weights = {n: torch.from_numpy(drawn(n, tuple(s))) for n, s in shapes.items()}
    images = generator(name).random((2, 3, side, side)).astype(np.float32)
    logits = {}
    normalises = any(n.endswith("running_var") for n in shapes)
    for mode in ("eval", "train") if normalises else ("eval",):
        network.load_state_dict(weights, strict=False)
        network.train(mode == "train")
        with torch.no_grad():
            logits[f"{name}/{mode}"] = network(torch.from_numpy(images)).numpy()
    count = sum(int(np.prod(shape)) for shape in shapes.values())
    entry = {"input": [3, side, side], "parameters": shapes, "count": count}
    return entry, logits


def main():
    entries, arrays = {}, {}
    for name, (side, create) in NETWORKS.items():
        entries[name], logits = record(name, side, create())
        arrays |= logits
        print(name, entries[name]["count"], {n: a.std() for n, a in logits.items()})
    before = torch.from_numpy(drawn(*POSITIONS))
    for side in SIDES:
        after = resample_abs_pos_embed(before, [side, side])
        arrays[f"positions/{side}"] = after.numpy()
    text = json.dumps({"models": entries}, separators=(",", ":"))
    (GOLDEN / "networks.json").write_text(text + "\n")
    np.savez_compressed(GOLDEN / "networks.npz", **arrays)


if __name__ == "__main__":
    main()
