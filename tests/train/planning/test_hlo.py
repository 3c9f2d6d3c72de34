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

%condition (q: s32[]) -> pred[] {
  %five = s32[]{:T(128)} constant(5)
  %half = f32[]{:T(128)} constant(0.5)
  %q = s32[]{:T(128)} parameter(0)
  ROOT %less = pred[]{:T(512)} compare(%q, LIMIT), direction=LT, metadata={op_name="lt"}
}

%outer (p: f32[8]) -> f32[8] {
  %p.2 = f32[8]{0} parameter(0)
  ROOT %again = f32[8]{0} while(%p.2), condition=%condition, body=%body
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
LOOP = "while(%a), condition=%condition, body=%body"


def program(form, caller, limit="%five"):
    text = PROGRAM.replace("FORM", form).replace("CALLER", caller)
    return text.replace("LIMIT", limit)


def inner(caller, limit="%five"):
    """How often the all-reduce within %body runs."""
    found = hlo.collectives(program("all-reduce", caller, limit))
    return next(each.times for each in found if each.arrays == found[0].arrays)


def test_collectives_are_read_from_the_text():
    text = program("negate", LOOP)
    found = [(each.kind, each.num_bytes, each.times) for each in hlo.collectives(text)]
    assert found == [
        ("all-gather", 256, 1), ("all-reduce", 32 + 12, 1), ("reduce-scatter", 32, 1),
        ("collective-permute", 8, 1),
    ]  # fmt: skip
    called = program("all-reduce", "fusion(%a), calls=%body")
    assert len(hlo.collectives(called)) == 5


@pytest.mark.parametrize(
    ("caller", "times"),
    [
        ("fusion(%a), calls=%body", 1),
        ("conditional(%a), branch_computations={%body, %outer}", 6),
        (LOOP, 5),
        (LOOP + ', backend_config={"known_trip_count":{"n":"7"}}', 7),
        ("while(%a), condition=%condition, body=%outer", 25),
        ("negate(%a)", 0),
    ],
)
def test_how_often_a_collective_runs(caller, times):
    assert inner(caller) == times


def test_a_loop_of_unknown_length_counts_once_and_says_so():
    text = program("all-reduce", LOOP, limit="%half")
    found = hlo.collectives(text)
    assert found[0].times is None
    moved, *_ = hlo.traffic(found)
    assert moved == hlo.Traffic("all-reduce", 2, 32 + 44, at_least=True)
    with pytest.raises(ValueError, match="all-reduce within a loop of unknown length"):
        hlo.bytes_by_kind(found)


def test_traffic_counts_every_run():
    moved = hlo.traffic(hlo.collectives(program("all-reduce", LOOP)))
    assert moved[0] == hlo.Traffic("all-reduce", 6, 5 * 32 + 44, at_least=False)
    assert [each.kind for each in moved] == [
        "all-reduce", "all-gather", "reduce-scatter", "collective-permute",
    ]  # fmt: skip
    never = hlo.traffic(hlo.collectives(program("all-to-all", "negate(%a)")))
    assert "all-to-all" not in [each.kind for each in never]


def test_a_scan_over_devices_counts_its_rounds():
    mesh = sharding.create_mesh()
    x = jax.ShapeDtypeStruct((16, 4), "float32", sharding=sharding.over_batch(mesh))

    def summed(x):
        add = lambda total, i: (total + jnp.sum(x * i, axis=0) * total, None)
        return jax.lax.scan(add, jnp.ones(4), jnp.arange(7.0))[0]

    found = hlo.collectives(jax.jit(summed).lower(x).compile().as_text())
    assert {each.times for each in found} == {7}
