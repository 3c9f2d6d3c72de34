"""How to read the exported files: the text of the model card."""

from collections.abc import Sequence

from train.release.network import Released

OURS = """\
### `weights.safetensors`, with ikl_jax

```python
import flax.traverse_util
import ikl_jax
import safetensors.numpy

arrays = safetensors.numpy.load_file("weights.safetensors")
variables = flax.traverse_util.unflatten_dict(arrays, sep="/")
model = ikl_jax.models.create({create})
logits = model.apply(variables, images)  # images: [batch, {shape}], in [0, 1]
```
"""
TORCH = """\
### `torch.safetensors`, with PyTorch

```python
import safetensors.torch

state_dict = safetensors.torch.load_file("torch.safetensors")
{buffers}model.load_state_dict(state_dict)  # {module}
logits = model.eval()({input})  # images: [batch, {torch_shape}], in [0, 1]
```
"""
PROGRAM = """\
### `model.jax_export`, with JAX alone

A program for CPU, TPU and CUDA with the weights in it. It needs the packages `jax` and
`flatbuffers`, for any batch size, and has a gradient.

```python
import pathlib
import jax

content = pathlib.Path("model.jax_export").read_bytes()
network = jax.export.deserialize(bytearray(content))
logits = network.call(images)  # images: float32 [batch, {shape}], in [0, 1]
gradient = jax.grad(lambda x: network.call(x)[:, 0].sum())(images)
```
"""


def text(released: Released, written: Sequence[str]) -> str:
    """A section for each file that was written."""
    height, width, channels = released.image_shape
    shape = f"{height}, {width}, {channels}"
    create = f'"{released.name}", num_classes={released.num_classes}'
    if released.normalize is not None:
        create += f", normalize={released.normalize}"
    sections = [OURS.format(create=create, shape=shape)]
    if "torch.safetensors" in written:
        sections.append(
            TORCH.format(
                buffers=_buffers(released), input=_input(released),
                module=_module(released), torch_shape=f"{channels}, {height}, {width}",
            )
        )  # fmt: skip
    sections.append(PROGRAM.format(shape=shape))
    return "\n".join(sections)


def _buffers(released: Released) -> str:
    """The lines that take a normalisation out of the state dict."""
    if released.normalize is None or released.normalizes_in_torch:
        return ""
    return (
        "# The network sees (images - mu) / sigma. A module with these two buffers\n"
        "# keeps them; others take them out first:\n"
        'mu, sigma = state_dict.pop("mu"), state_dict.pop("sigma")\n'
    )


def _input(released: Released) -> str:
    plain = released.normalize is None or released.normalizes_in_torch
    return "images" if plain else "(images - mu) / sigma"


def _module(released: Released) -> str:
    """Whose module has these names."""
    name, classes = released.name, released.num_classes
    if name.startswith("wide_resnet_swish_"):
        depth, width = name.split("_")[-2:]
        return (
            f"RobustBench's DMWideResNet({classes}, {depth}, {width}, Swish, mean, std)"
        )
    if name.startswith("wide_resnet_"):
        depth, width = name.split("_")[-2:]
        return f"RobustBench's WideResNet({depth}, {classes}, {width})"
    family = name.partition("_")[0]
    whose = {"cifar": "mdistiller", "imagenet": "torchvision or timm"}.get(family)
    return f"the module of {whose}" if whose else "a module with these names"
