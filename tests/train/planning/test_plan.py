"""What a run costs before it starts: operations, memory, steps, hours."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from configs import digits_distill, digits_ikl_at
from ikl_jax import models
from tests.support.commands import DIGITS, run
from train import cli
from train.base.errors import UserError
from train.networks import converted
from train.planning import flops, plan
from train.planning.compiled import Refused
from train.planning.plan import Target


def operations_of(name, image=(32, 32, 3)):
    """Of a forward pass, the gradient of its weights, and that of its input."""
    model = models.create(name, num_classes=10)
    x = jax.ShapeDtypeStruct((2, *image), jnp.float32)
    variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x), x)
    total = lambda variables, x: jnp.sum(model.apply(variables, x, train=False))
    return [
        flops.count(fn, variables, x) / 2
        for fn in (total, jax.grad(total), jax.grad(total, argnums=1))
    ]


# Multiply-adds of a forward pass as they are commonly told: 6.66 and 5.24 billion.
@pytest.mark.parametrize(
    ("name", "billions"),
    [("wide_resnet_34_10", 6.66), ("wide_resnet_28_10", 5.24)],
)
def test_operations_of_known_networks(name, billions):
    forward, weights, inputs = operations_of(name)
    assert forward / 2e9 == pytest.approx(billions, rel=2e-3)
    # The first layer's input needs no gradient, where that of the weights is asked for.
    assert weights / forward == pytest.approx(3.0, rel=2e-3)
    assert inputs / forward == pytest.approx(2.0, rel=2e-3)


def test_operations_of_loops_branches_and_groups():
    x, w = jnp.ones((4, 8)), jnp.ones((8, 8))
    once = 2 * 4 * 8 * 8
    loop = lambda x: jax.lax.scan(lambda x, _: (x @ w, None), x, length=5)[0]
    assert flops.count(jax.jit(loop), x) == 5 * once
    assert flops.count(jax.vmap(lambda row: row @ w), x) == once
    branch = lambda x: jax.lax.cond(x[0, 0] > 0, lambda x: x @ w @ w, lambda x: x, x)
    assert flops.count(branch, x) == 2 * once
    image, kernel = jnp.ones((2, 6, 6, 4)), jnp.ones((3, 3, 2, 8))
    convolved = lambda image, kernel: jax.lax.conv_general_dilated(
        image, kernel, (2, 2), "SAME", feature_group_count=2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    assert flops.count(convolved, image, kernel) == 2 * (2 * 3 * 3) * (9 * 2) * 8
    total = lambda image: jnp.sum(convolved(image, kernel))
    # Back through a stride of two, as many again and not four times as many.
    assert flops.count(jax.grad(total), image) == 2 * 2 * (2 * 3 * 3) * (9 * 2) * 8


def test_a_plan_of_the_digits():
    config = digits_ikl_at.get_config()
    config.epochs = 3
    planned = plan.plan(config, Target(tflops=0.5, memory=2.0))
    assert planned.parameters == 22_406
    assert (planned.steps_per_epoch, planned.steps) == (22, 66)
    assert planned.devices == (8, 1)
    # Five steps of the attack, with natural logits; perturbed weights and two passes.
    forward, weights, inputs = operations_of("cnn", (8, 8, 1))
    expected = 64 * (forward + 5 * inputs + 2 * 2 * weights)
    assert planned.flops == pytest.approx(expected, rel=1e-2)
    assert planned.hours == pytest.approx(66 * planned.flops / 8 / 0.5e12 / 3600)
    # Weights, momentum, their average, and little else, in float32.
    assert planned.state == pytest.approx(3 * 4 * 22_406, rel=0.02)
    assert planned.state < planned.peak < 50e6
    assert planned.fits
    assert not dataclasses.replace(planned, available=planned.peak - 1).fits
    # A state that is too large alone is not compiled.
    alone = plan.plan(config, Target(memory=1e-4))
    assert alone.step == Refused("not compiled", alone.state, round(1e-4 * 2**30), 0.0)
    assert not alone.fits


@pytest.mark.long
def test_a_teachers_forward_pass_is_among_the_operations(tmp_path):
    model = models.create("cnn", 10)
    variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
    path = tmp_path / "teacher.npz"
    converted.write(path, converted.Converted("cnn", 10, None, variables))
    operations = {}
    for cache in ("", str(tmp_path / "cache")):
        config = digits_distill.get_config("loss=ikl,quick")
        config.data.update(dict(crop_padding=0, flip=False))
        config.teacher.update(dict(path=str(path), cache=cache))
        operations[bool(cache)] = plan.plan(config).flops
    forward, *_ = operations_of("cnn", (8, 8, 1))
    taught = operations[False] - operations[True]
    assert taught == pytest.approx(config.batch_size * forward, rel=1e-6)
    assert not (tmp_path / "cache").exists()


@pytest.mark.long
def test_the_command_line_tells_it_and_warns(tmp_path):
    done = run(f"--config={DIGITS}:quick", "--plan", "--memory=0.0005", "--tflops=2")
    assert done.returncode == 0, done.stderr
    assert "22,406" in done.stdout
    assert "44, 22 an epoch, of 64 examples" in done.stdout
    assert "at 2 TFLOP/s a device" in done.stdout
    assert "it will not fit; --fit finds, by compiling" in " ".join(done.stdout.split())


BAD = {
    "platform": ("--platform=tpu", "platform must be one that there are devices of"),
    "tflops": ("--tflops=nan", "tflops must be > 0 and finite, got nan"),
    "memory": ("--memory=-1", "memory must be > 0 and finite, got -1"),
    "endless memory": ("--memory=inf", "memory must be > 0 and finite, got inf"),
    "processes": ("--distributed", "--distributed is for a run: --plan is for"),
    "mesh": ("--config.mesh=(3,1)", "mesh must be (data, model), with product 8"),
    "share": ("--peak_share=1.5", "peak_share must be in (0, 1], got 1.5"),
    "share of nothing": (
        "--peak_share=0.5",
        "peak_share is for a topology without tflops",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name, capsys):
    flag, message = BAD[name]
    assert cli.main(["train", f"--config={DIGITS}:quick", "--plan", flag]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_platform_that_is_not_there_leaves_jax_as_it_was():
    with pytest.raises(UserError, match="here JAX has cpu"):
        plan.require("tpu")
    assert jax.devices()[0].platform == "cpu"
