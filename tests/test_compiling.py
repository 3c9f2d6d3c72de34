"""What docs/compiling.md shows is run, and its programs are for accelerators."""

import re

import jax
import pytest

from tests.conftest import ROOT

IMAGES = "x1xf32>"  # of one channel
PAGE = (ROOT / "docs" / "compiling.md").read_text()


def shown(section):
    """The variables after the code of a section, which follows the code before it."""
    names = {"jax": jax}
    (text,) = re.findall(
        rf"## How do I {section}\?\n(.*?)(?=\n## |\Z)", PAGE, re.DOTALL
    )
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(block, section, "exec"), names)
    return names


def loops_over_images(program):
    """The loops of a program that carry images; CPU draws random numbers in others."""
    lines = program.splitlines()
    return [line for line in lines if "stablehlo.while" in line and IMAGES in line]


def test_a_loss():
    names = shown("export a loss")
    loss = jax.export.deserialize(names["content"])
    assert loss.platforms == ("tpu", "cuda")
    assert [aval.shape for aval in loss.out_avals] == [(), (256, 100), (256, 100)]


def test_an_attack_is_a_loop_for_accelerators_and_none_for_cpu():
    names = shown("export an attack")
    arguments = [names[name] for name in ("variables", "images", "labels")]
    assert names["attack"].platforms == ("tpu", "cuda")
    for platform, loops in (("tpu", 1), ("cuda", 1), ("cpu", 0)):
        export = jax.export.export(jax.jit(names["attacked"]), platforms=(platform,))
        program = export(*arguments).mlir_module()
        assert len(loops_over_images(program)) == loops


@pytest.mark.long
def test_a_training_step():
    names = shown("export a training step")
    step = jax.export.deserialize(names["content"])
    assert step.platforms == ("tpu", "cuda")
    assert step.nr_devices == jax.device_count()
    loops = loops_over_images(names["step"].mlir_module())
    assert len(loops) == 2  # the attack, and the two gradients of weight perturbation
    here = jax.jit(names["flat_step"]).lower(*names["leaves"]).as_text()
    assert not loops_over_images(here)
