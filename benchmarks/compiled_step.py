"""What one training step costs on a mesh, read from its compiled program.

    python benchmarks/compiled_step.py --devices 8 --model_axis 1

    python benchmarks/compiled_step.py --topology v5e:2x2 --batch_size 128

The adversarial recipe's whole step with the published settings for CIFAR-100, compiled
ahead of time for virtual CPU devices or for a TPU that is not there, with the shardings
and the donated state of `train/`; no array of it is ever made. One line of JSON, a
`Cost`. A process has one number of devices, so `scaling.py` starts one for each row of
its table.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
import time
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from configs import base
from train.base.config import Config
from train.base.errors import UserError
from train.devices import sharding, topology
from train.networks import classes, model
from train.planning import hlo
from train.recipes import RECIPES, BuiltRecipe, Task

IMAGE_SHAPE, TRAINING_IMAGES = (32, 32, 3), 50_000
# The authors', but for bn_groups: statistics here are those of the whole batch.
SETTINGS = {
    "epochs": 200,
    "optimizer.learning_rate": 0.2,
    "optimizer.schedule": "cosine_per_epoch",
    "optimizer.decay_vectors": True,
    "loss.name": "ikl",
    "loss.alpha": 20.0,
    "loss.beta": 4.0,
    "loss.weights": "class_means",
    "attack.loss": "ikl",
    "attack.relative_step_size": 0.5,
    "attack.epsilon_ramp": 1.0,
    "awp.gamma": 0.005,
    "awp.start_epoch": 9,
    "awp.decay_perturbed": True,
    "averaging.every": "epoch",
    "averaging.decay": 0.9,
    "averaging.warmup": False,
}


@dataclasses.dataclass(frozen=True)
class Setting:
    """What the step is compiled for.

    Attributes:
      devices: their number; of a topology as many as it has.
      model_axis: how many of them lie along the mesh's axis `model`.
      fsdp: whether the state is divided over `data`.
      model: name of the architecture.
      classes: C; padded to a multiple of `model_axis`.
      batch_size: of the whole batch.
      attack_steps: of PGD.
      topology: the name of a TPU's topology; empty: virtual CPU devices.

    Raises:
      UserError: a number is below 1.
    """

    devices: int = 1
    model_axis: int = 1
    fsdp: bool = False
    model: str = "wide_resnet_34_10"
    classes: int = 100
    batch_size: int = 128
    attack_steps: int = 5
    topology: str = ""

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if type(value) is int and value < 1:
                raise UserError(f"{name} must be >= 1, got {value}")

    @property
    def width(self) -> int:
        """The classes, padded so that the axis `model` divides them."""
        return classes.padded_width(self.classes, self.model_axis)

    def create_config(self) -> Config:
        config = base.get_config()
        config.update_from_flattened_dict(SETTINGS)
        config.attack.steps = self.attack_steps
        config.model.name = self.model
        config.model.classes_multiple_of = self.model_axis
        return config

    def create_model(self) -> nn.Module:
        return model.create(self.create_config(), self.classes)

    def create_recipe(self, mesh: Mesh) -> BuiltRecipe:
        network = self.create_model()
        if self.fsdp:
            classifier = model.classifier_layer(network)
            network = sharding.GatheredModel(network, mesh, classifier)
        steps_per_epoch = -(-TRAINING_IMAGES // self.batch_size)
        task = Task(
            self.create_config(), network, self.classes, IMAGE_SHAPE, steps_per_epoch,
            mesh,
        )  # fmt: skip
        return RECIPES["adversarial"].build(task)


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one step; all but `parameters` and `forward_flops` are one device's.

    Attributes:
      setting: what it is the cost of.
      parameters: of the model.
      forward_flops: of one image's forward pass.
      flops: what the compiler counts, multiplication and addition one each. It counts
        a loop once, as there is in programs for TPUs.
      argument_bytes: state and batch; the new state takes the old one's place.
      temporary_bytes: what the compiler plans besides.
      program_bytes: of the code, where it is in the device's memory.
      collective_bytes: kind of collective to the bytes of the arrays it works on.
      seconds: that it took to compile.
    """

    setting: Setting
    parameters: int
    forward_flops: float
    flops: float
    argument_bytes: int
    temporary_bytes: int
    program_bytes: int
    collective_bytes: dict[str, int]
    seconds: float

    @property
    def forward_passes(self) -> float:
        """The FLOPs of all devices, in forward passes of the batch."""
        batch = self.setting.batch_size * self.forward_flops
        return self.setting.devices * self.flops / batch

    @classmethod
    def from_json(cls, line: str) -> "Cost":
        fields = json.loads(line)
        return cls(**{**fields, "setting": Setting(**fields["setting"])})

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))


def create_mesh(setting: Setting) -> Mesh:
    """The mesh of a setting.

    Raises:
      UserError: it does not fit the devices, or does not divide the batch.
    """
    name = setting.topology
    devices = topology.devices(name) if name else None
    mesh = sharding.create_mesh((-1, setting.model_axis), devices)
    sharding.check_batch("batch_size", setting.batch_size, mesh)
    return mesh


def compile_step(setting: Setting, mesh: Mesh) -> jax.stages.Compiled:
    """The step as the training loop compiles it, for arrays that need not exist."""
    recipe = setting.create_recipe(mesh)
    state = jax.eval_shape(recipe.init, jax.random.key(0))
    places = sharding.state_shardings(
        mesh, state, fsdp=setting.fsdp,
        classifier=model.classifier_layer(setting.create_model()),
    )  # fmt: skip
    step = jax.jit(
        recipe.step,
        out_shardings=(places, sharding.replicated(mesh)),
        donate_argnums=0,
    )
    return step.lower(placed(state, places), abstract_batch(setting, mesh)).compile()


def measure(setting: Setting) -> Cost:
    """Compiles the step and reads what it costs."""
    mesh, start = create_mesh(setting), time.monotonic()
    compiled = compile_step(setting, mesh)
    seconds = time.monotonic() - start
    memory: Any = compiled.memory_analysis()
    parameters, forward_flops = forward_pass(setting)
    return Cost(
        setting=setting,
        parameters=parameters,
        forward_flops=forward_flops,
        flops=flops_of(compiled),
        argument_bytes=memory.argument_size_in_bytes,
        temporary_bytes=memory.temp_size_in_bytes,
        program_bytes=memory.generated_code_size_in_bytes,
        collective_bytes=hlo.bytes_by_kind(hlo.collectives(text_of(compiled))),
        seconds=seconds,
    )


def forward_pass(setting: Setting) -> tuple[int, float]:
    """The model's parameters, and the FLOPs of one image with running statistics."""
    network = setting.create_model()
    image = jax.ShapeDtypeStruct((1, *IMAGE_SHAPE), jnp.float32)
    variables = jax.eval_shape(network.init, jax.random.key(0), image)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    forward = jax.jit(network.apply).lower(variables, image).compile()
    return parameters, flops_of(forward)


def text_of(compiled: jax.stages.Compiled) -> str:
    text = compiled.as_text()
    assert text is not None  # on every backend of XLA's
    return text


def flops_of(compiled: jax.stages.Compiled) -> float:
    analysis: Any = compiled.cost_analysis()
    return analysis["flops"]


def placed(tree: Any, places: Any) -> Any:
    def place(leaf: jax.ShapeDtypeStruct, to: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=to)

    return jax.tree.map(place, tree, places)


def abstract_batch(setting: Setting, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    shapes = {
        "image": ((setting.batch_size, *IMAGE_SHAPE), jnp.uint8),
        "label": ((setting.batch_size,), jnp.int32),
    }
    return {
        name: jax.ShapeDtypeStruct(shape, dtype, sharding=sharding.over_batch(mesh))
        for name, (shape, dtype) in shapes.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for field in dataclasses.fields(Setting):
        if field.type is bool:
            parser.add_argument(f"--{field.name}", action="store_true")
        else:
            parser.add_argument(
                f"--{field.name}", type=field.type, default=field.default
            )
    try:
        setting = Setting(**vars(parser.parse_args()))
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_enable_compilation_cache", not setting.topology)
        if not setting.topology:
            jax.config.update("jax_num_cpu_devices", setting.devices)
        print(measure(setting).to_json())
    except UserError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
