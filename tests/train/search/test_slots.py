"""Which cores and which GPU a run gets."""

import pytest

from train.base.errors import UserError
from train.search import slots


def test_cores_are_divided_and_none_is_shared():
    found = slots.divided(3, list(range(8)), [])
    assert [slot.cores for slot in found] == [(0, 1), (2, 3), (4, 5)]
    assert [slot.cores for slot in slots.divided(3, [0, 1], [])] == [(0,), (1,), (0, 1)]
    assert slots.divided(None, [0, 1], []) == [slots.Slot(0)]


def test_each_run_sees_one_gpu(monkeypatch):
    found = slots.divided(None, [0, 1], ["3", "GPU-5a"])
    assert [slot.gpu for slot in found] == ["3", "GPU-5a"]
    assert slots.variables(found[1], "cache")["CUDA_VISIBLE_DEVICES"] == "GPU-5a"
    with pytest.raises(UserError, match="--jobs must be at most 2, .* got 3"):
        slots.divided(3, [0], ["0", "1"])


def test_visible_gpus_are_those_of_the_user(monkeypatch):
    monkeypatch.setattr(slots, "_has_plugin", lambda: True)
    assert slots.visible_gpus({"CUDA_VISIBLE_DEVICES": "1,3"}) == ["1", "3"]
    assert slots.visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == []
    assert (
        slots.visible_gpus({"CUDA_VISIBLE_DEVICES": "1", "JAX_PLATFORMS": "cpu"}) == []
    )
    monkeypatch.setattr(slots, "_has_plugin", lambda: False)
    assert slots.visible_gpus({"CUDA_VISIBLE_DEVICES": "1,3"}) == []


def test_compiled_programs_lie_apart_unless_the_user_says_where(monkeypatch, tmp_path):
    monkeypatch.delenv(slots.COMPILED, raising=False)
    first, second = (slots.variables(slots.Slot(i), str(tmp_path)) for i in (0, 1))
    assert first[slots.COMPILED] != second[slots.COMPILED]
    monkeypatch.setenv(slots.COMPILED, "/somewhere")
    assert slots.variables(slots.Slot(0), str(tmp_path)) == {}
