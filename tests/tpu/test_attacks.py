"""Every program of every attack of AutoAttack, with a batch divided over the chips."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ikl_jax import models
from ikl_jax.attacks.common import loops
from ikl_jax.attacks.common.classifier import Classifier
from ikl_jax.attacks.ensemble import versions
from tests.tpu import programs

pytestmark = programs.MARKS

BATCH, CLASSES, IMAGE = 24, 10, (16, 16, 3)
# The others differ from these in the number of restarts alone.
NAMES = sorted(set(versions.ATTACKS) - {"apgd-ce-5", "apgd-dlr-5"})


class Programs:
    """Stands in for `jax.jit`: compiles each program for TPU, and finds nothing.

    So an attack goes through all of its programs, and none of them runs.
    """

    def __init__(self, mesh):
        self.mesh, self.jit = mesh, jax.jit
        self.compiled, self._shapes = {}, {}

    def __call__(self, fn, **options):
        jitted = self.jit(fn, **options)

        def call(*arguments):
            leaves, structure = jax.tree.flatten(arguments)
            if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
                return jitted(*arguments)  # a part of a larger program
            shapes = tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)
            program = fn.__qualname__, structure, shapes
            if program not in self._shapes:
                traced = jitted.trace(*jax.tree.map(self._placed, arguments))
                lowered = traced.lower(lowering_platforms=("tpu",))
                self.compiled[fn.__qualname__] = lowered.compile()
                self._shapes[program] = traced.out_info
            return jax.tree.map(_nothing, self._shapes[program])

        return call

    def _placed(self, leaf):
        if not isinstance(leaf, jax.Array):
            return leaf  # a number of steps, or which of them are live
        of_batch = leaf.shape[:1] == (BATCH,)
        place = jax.NamedSharding(self.mesh, jax.P("data") if of_batch else jax.P())
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)


def _nothing(leaf):
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jnp.broadcast_to(jax.random.key(0), leaf.shape)
    # No example is broken, and none is near to the boundary.
    is_number = jnp.issubdtype(leaf.dtype, jnp.inexact)
    return jnp.full(leaf.shape, 1 if is_number else 0, leaf.dtype)


def classifier(name, x):
    network = models.create("cnn", CLASSES)
    variables = network.init(jax.random.key(0), x[:1])
    if not name.endswith("eot"):
        return Classifier.of(lambda x: network.apply(variables, x), x)
    noisy = lambda x, key: x + 0.1 * jax.random.normal(key, x.shape)
    return Classifier.randomised(
        lambda x, key: network.apply(variables, noisy(x, key)), x
    )


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("name", NAMES)
def test_attack(name, norm, monkeypatch):
    x, labels = jnp.zeros((BATCH, *IMAGE)), jnp.zeros(BATCH, jnp.int32)
    network, keys = classifier(name, x), jax.random.split(jax.random.key(0), BATCH)
    monkeypatch.setattr(loops, "gradient_steps", lambda *_: 20)  # those of a TPU
    made = Programs(programs.create_mesh())
    monkeypatch.setattr(jax, "jit", made)
    threat_model = versions.ThreatModel(network, 0.1, norm)
    kinds = {type(each.attack): each for each in versions.ATTACKS[name](threat_model)}
    for each in kinds.values():
        each.attack(x, labels, labels + 1, keys)
    assert len(made.compiled) >= 2
    for program in made.compiled.values():
        arrays = programs.moved(program).arrays
        assert not programs.of_batch_by_classes(arrays, BATCH, CLASSES)
        if not name.startswith("fab"):  # its two projections are one batch
            # Whether all examples are broken, or have been projected.
            assert arrays <= {programs.FLAG}
    if name != "square":
        (climbs,) = [
            program for name, program in made.compiled.items() if "advance" in name
        ]
        assert " while(" in climbs.as_text()
        assert np.isfinite(climbs.memory_analysis().temp_size_in_bytes)
