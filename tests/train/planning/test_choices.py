"""What may be changed of a run so that it takes less memory."""

import pytest

from configs import digits_ikl_at
from train.base.errors import UserError
from train.planning import choices


def config(**fields):
    changed = digits_ikl_at.get_config("natural,quick")
    changed.update_from_flattened_dict(fields)
    return changed


def test_a_run_on_the_devices_that_there_are():
    found = choices.of(config(), None)
    assert (found.remat, found.fsdp, found.bfloat16) == (False, True, True)
    assert (found.parts, found.topologies) == ([], [])  # on CPU, parts are no loop


@pytest.mark.long
def test_what_a_run_already_has_is_no_choice():
    wide = {"model.name": "wide_resnet_10_1", "fsdp": True, "model.dtype": "bfloat16"}
    found = choices.of(config(**wide), None)
    assert (found.remat, found.fsdp, found.bfloat16) == (True, False, False)


def test_a_change_leaves_the_config_as_it_was():
    before = config()
    after = choices.changed(before, {"accumulate": 2, "model.remat": True})
    assert (after.accumulate, after.model.remat) == (2, True)
    assert (before.accumulate, before.model.remat) == (1, False)


@pytest.mark.parametrize(
    ("name", "larger"),
    [
        ("v5e:2x2", "v5e:2x4"),
        ("v5e:2x4", "v5e:4x4"),
        ("v4:2x2x1", "v4:2x2x2"),
        ("v4:2x2x4", "v4:2x4x4"),
        ("v5p=4x4x8", "v5p=4x8x8"),
    ],
)
def test_twice_as_many_chips(name, larger):
    assert choices.doubled(name) == larger


@pytest.mark.tpu
def test_a_run_on_a_topology():
    fields = {"model.name": "wide_resnet_10_1", "model.bn_groups": 4}
    found = choices.of(config(batch_size=32, **fields), "v5e:2x2")
    assert found.parts == [2, 4]  # groups of BatchNorm allow no more
    assert found.topologies == ["v5e:2x4", "v5e:4x4", "v5e:4x8"]
    assert (found.remat, found.fsdp, found.bfloat16) == (True, True, True)
    plain = choices.of(config(batch_size=32), "v5e:2x2")
    assert plain.parts == [2, 4, 8]
    with pytest.raises(
        UserError, match="batch_size must be a multiple of the 4 devices"
    ):
        choices.of(config(batch_size=30), "v5e:2x2")
