"""What is read from the text of a compiled program."""

import jax
import jax.numpy as jnp
import pytest

from train.devices import sharding
from train.planning import hlo


def test_a_sum_over_devices_is_one_all_reduce():
    mesh = sharding.create_mesh()
    x = jax.ShapeDtypeStruct((16, 4, 6), "float32", sharding=sharding.over_batch(mesh))
    compiled = jax.jit(lambda x: jnp.sum(x, axis=0)).lower(x).compile()
    (found,) = hlo.collectives(compiled.as_text())
    assert found == hlo.Collective("all-reduce", (hlo.HloArray("f32", (4, 6)),))
    assert found.num_bytes == 4 * 4 * 6
    assert hlo.bytes_by_kind([found, found]) == {
        "all-reduce": 192, "all-gather": 0, "reduce-scatter": 0, "all-to-all": 0,
        "collective-permute": 0,
    }  # fmt: skip


PROGRAM = """\
HloModule jit_f, is_scheduled=true

%body (p: f32[8]) -> f32[8] {
  %p = f32[8]{0} parameter(0)
  ROOT %inner = f32[8]{0} FORM(%p), channel_id=9
}

ENTRY %main (a: f32[8], b: bf16[2,3]) -> f32[64] {
  %a = f32[8]{0:T(128)} parameter(0)
  %b = bf16[2,3]{1,0:T(8,128)(2,1)} parameter(1)
  %starts = (f32[8]{0}, f32[64]{0}) all-gather-start(%a), dimensions={0}
  %ends = f32[64]{0} all-gather-done(%starts), metadata={op_name="f(all-reduce(x))"}
  %two = (f32[8]{0}, /*index=1*/bf16[2,3]{1,0}) all-reduce(%a, %b), to_apply=%add
  %part = f32[1]{0} reduce-scatter(%a), dimensions={0}, to_apply=%add
  %flag = pred[8]{0} collective-permute(%c), source_target_pairs={{0,1}}
  ROOT %w = f32[8]{0} CALLER
}
"""


def program(form, caller):
    return PROGRAM.replace("FORM", form).replace("CALLER", caller)


def test_collectives_are_read_from_the_text():
    text = program("negate", "while(%a), condition=%c, body=%body")
    found = [(each.kind, each.num_bytes) for each in hlo.collectives(text)]
    assert found == [
        ("all-gather", 256), ("all-reduce", 32 + 12), ("reduce-scatter", 32),
        ("collective-permute", 8),
    ]  # fmt: skip
    called = program("all-reduce", "fusion(%a), calls=%body")
    assert len(hlo.collectives(called)) == 5


def test_a_collective_in_a_loop_is_refused():
    with pytest.raises(ValueError, match="inner is within a loop"):
        hlo.collectives(program("all-reduce", "while(%a), condition=%c, body=%body"))
