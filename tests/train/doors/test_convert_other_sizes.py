"""Conversion of transformers for images of another size, and of networks that look alike."""

import numpy as np
import pytest
import safetensors.numpy

from ikl_jax.models import positions
from tests.support.references.torch_reference import MODELS, state_dict
from train import convert
from train.networks import converted

VIT = "vit_patch4_2_128"  # its golden weights are for images of 24 x 24 pixels


def convert_arrays(folder, arrays, model, *flags):
    """The exit code, and the file that it should have written."""
    weights, output = folder / "weights.safetensors", folder / "out.npz"
    safetensors.numpy.save_file(arrays, weights)
    paths = [f"--weights={weights}", f"--output={output}"]
    return convert.main(["convert", *paths, f"--model={model}", *flags]), output


@pytest.mark.long
@pytest.mark.parametrize(("flags", "side"), [((), 24), (("--image_size=16",), 16)])
def test_positions_are_fitted_to_the_images_aloud(tmp_path, capsys, flags, side):
    arrays = {f"module.{name}": array for name, array in state_dict(VIT).items()}
    code, output = convert_arrays(tmp_path, arrays, VIT, *flags)
    assert code == 0
    said = "the positions of 6 x 6 patches were interpolated to 4 x 4, for images of 16"
    assert (said in capsys.readouterr().out) == (side == 16)
    saved = converted.read(output)
    assert saved.image_side == side
    assert saved.channels == 3
    expected = arrays["module.pos_embed"]
    if side == 16:
        expected = positions.interpolated(expected, 4)
    np.testing.assert_array_equal(saved.variables["params"]["pos_embed"], expected)
    logits = saved.create().apply(saved.variables, np.zeros((2, side, side, 3)))
    assert logits.shape == (2, 7)


def zeros(model):
    shapes = MODELS[model]["parameters"]
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("of", "model", "flags", "message"),
    [
        (VIT, VIT, ["--image_size=18"], "image_size must be a multiple of patch_size=4, got 18"),
        (VIT, "vit_patch4_1_128", [], "unexpected: blocks.1.attn.proj.bias"),
        ("cifar_resnet8", "cifar_resnet8", ["--image_size=32"], "image_size must be None for ResNet, whose weights fit images of any size, got 32"),
        ("preact_resnet18_bn", "preact_resnet18", [], "does not fit preact_resnet18; unexpected: bn.bias"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path, capsys, of, model, flags, message):
    code, output = convert_arrays(tmp_path, zeros(of), model, *flags)
    assert code == 1
    assert not output.exists()
    assert message in capsys.readouterr().err
