"""Natural and PGD evaluation compile, and gather nothing but what the host reads."""

import jax
import numpy as np
import pytest

from ikl_jax import models
from tests.tpu import programs
from train.data.splits import InMemory
from train.devices import sharding
from train.evaluation.batch_attack import PgdAttack
from train.evaluation.pgd import Evaluator
from train.recipes.state import Weights

pytestmark = programs.MARKS

BATCH, CLASSES, IMAGE = 48, 72, (16, 16, 3)


@pytest.fixture(scope="module")
def mesh():
    return programs.create_mesh()


def evaluator(mesh, norm):
    network = models.create("cnn", CLASSES)
    images = np.zeros((BATCH, *IMAGE), np.uint8)
    split = InMemory(images, np.zeros(BATCH, np.int64))
    attack = PgdAttack(epsilon=0.1, norm=norm, steps=20)
    made = Evaluator(
        network, split, attack, mesh, num_classes=CLASSES, batch_size=BATCH
    )
    image = jax.ShapeDtypeStruct((1, *IMAGE), "float32")
    variables = jax.eval_shape(network.init, jax.random.key(0), image)
    weights = programs.placed(
        Weights(variables["params"], {}), sharding.replicated(mesh)
    )
    return made, weights


@pytest.fixture(scope="module")
def batch(mesh):
    of = lambda shape, dtype: jax.ShapeDtypeStruct(
        (BATCH, *shape), dtype, sharding=sharding.over_batch(mesh)
    )
    return of(IMAGE, "float32"), of((), "int32"), of((), "int32")


def test_natural(mesh, batch):
    made, weights = evaluator(mesh, "linf")
    program = programs.compiled(made._outputs._compute, weights, *batch)
    moved = programs.moved(program)
    # Every process reads the logits, and the labels and positions beside them.
    assert moved.num_bytes("all-gather") == 4 * BATCH * CLASSES
    assert moved.num_bytes("all-reduce") <= 2 * 4 * BATCH + programs.BARRIER
    assert {kind for kind, _ in moved.arrays} <= {"all-gather", "all-reduce"}


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_pgd(norm, mesh, batch):
    made, weights = evaluator(mesh, norm)
    x, labels, indices = batch
    program = programs.compiled(made._attack._advance, weights, x, x, labels, steps=20)
    assert " while(" in program.as_text()
    start = programs.compiled(made._attack._start, x, indices, 0)
    for each in (program, start):
        # In l1, whether all examples have been projected.
        assert programs.moved(each).arrays <= {programs.FLAG}
