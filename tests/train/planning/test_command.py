"""`--plan` with a topology, and `--fit`."""

import dataclasses

import numpy as np
import pytest

from configs import digits_ikl_at
from tests.train.planning.test_table import GIB, PLANNED
from train import cli
from train.base.errors import UserError
from train.planning import choices, command
from train.planning.compiled import Memory
from train.planning.plan import Target, plan
from train.planning.search import Choices


def sized(total):
    step = PLANNED.step._replace(memory=Memory(total, 0, 0, 0))
    return dataclasses.replace(PLANNED, step=step, state=0, available=16 * GIB)


@pytest.fixture
def planned(monkeypatch):
    """Plans without compiling: 20 GiB, and less for each change; says what is asked."""
    asked = []

    def quick(config, target):
        saved = 3 * (config.accumulate > 1) + 2 * config.fsdp
        chips = target.topology.count("x4")
        asked.append((config.accumulate, config.fsdp, target.topology))
        return sized((20 - saved - 10 * chips) * GIB)

    monkeypatch.setattr(command, "plan", quick)
    monkeypatch.setattr(command, "require", lambda platform: None)
    monkeypatch.setattr(
        choices,
        "of",
        lambda config, name: Choices([2], False, True, False, ["v5e:2x4"]),
    )
    return asked


def fitted():
    config = digits_ikl_at.get_config("quick")
    command.main(config, Target("v5e:2x2"), platform=None, fit=True)


def test_the_smallest_change_is_shown_with_its_flags(planned, capsys):
    fitted()
    lines = capsys.readouterr().out.splitlines()
    verdicts = [line for line in lines if line.startswith("--")]
    assert [line.partition(":")[0] for line in verdicts] == [
        "--config.accumulate=2", "--config.fsdp=True",
        "--config.accumulate=2 --config.fsdp=True",
    ]  # fmt: skip
    assert "17 GiB on each device, which has 16 GiB; does not fit" in verdicts[0]
    assert "15 GiB on each device, which has 16 GiB; fits" in verdicts[2]
    assert "it fits with --config.accumulate=2 --config.fsdp=True" in lines
    assert planned == [
        (1, False, "v5e:2x2"), (2, False, "v5e:2x2"), (1, True, "v5e:2x2"),
        (2, True, "v5e:2x2"),
    ]  # fmt: skip


def test_more_chips_where_no_field_is_enough(planned, capsys, monkeypatch):
    monkeypatch.setattr(
        choices, "of", lambda config, name: Choices([], False, True, False, ["v5e:2x4"])
    )
    fitted()
    assert "it fits with --topology=v5e:2x4" in capsys.readouterr().out


def test_what_fits_is_not_changed(planned, capsys, monkeypatch):
    monkeypatch.setattr(command, "plan", lambda config, target: sized(GIB))
    fitted()
    assert "it fits with" not in capsys.readouterr().out


def test_nothing_fits(planned, monkeypatch):
    monkeypatch.setattr(
        choices, "of", lambda config, name: Choices([], False, True, False, [])
    )
    said = (
        "nothing fits of 2 that were tried; the least was 18 GiB on each device, which "
        "has 16 GiB, with --config.fsdp=True; a smaller batch_size"
    )
    with pytest.raises(UserError, match=said):
        fitted()


def test_a_change_that_is_not_possible_is_told(planned, monkeypatch, capsys):
    def refuses(config, target):
        if config.fsdp:
            raise UserError("no fsdp here")
        return sized(20 * GIB)

    monkeypatch.setattr(command, "plan", refuses)
    with pytest.raises(UserError, match="nothing fits of 3 that were tried"):
        fitted()
    assert "--config.fsdp=True: not possible, no fsdp here" in capsys.readouterr().out


def test_fit_needs_a_memory(planned, monkeypatch):
    unknown = dataclasses.replace(PLANNED, available=None)
    monkeypatch.setattr(command, "plan", lambda config, target: unknown)
    with pytest.raises(
        UserError, match="--fit needs the memory of a TPU v5 lite .*--mem"
    ):
        fitted()


BAD = {
    "platform": (
        ["--topology=v5e:2x2", "--platform=cpu"],
        "leave it out for topology=v5e:2x2, got 'cpu'",
    ),
    "share": (
        ["--topology=v5e:2x2", "--peak_share=0"], "peak_share must be in (0, 1], got 0",
    ),
    "share and speed": (
        ["--topology=v5e:2x2", "--peak_share=0.5", "--tflops=9"],
        "peak_share is for a topology without tflops, got tflops=9.0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name, capsys):
    flags, message = BAD[name]
    config = "--config=configs/digits_ikl_at.py:quick"
    assert cli.main(["train", config, "--plan", *flags]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


@pytest.mark.tpu
def test_a_plan_for_a_tpu_that_is_not_there(capsys):
    flags = ["--config=configs/digits_ikl_at.py:quick", "--plan", "--topology=v5e:2x2"]
    assert cli.main(["train", *flags]) == 0
    shown = capsys.readouterr().out
    for text in (
        "4 x TPU v5 lite (v5e:2x2); data 4, model 1", "of 15.75 GiB", "all-reduce",
        "at 59.1 TFLOP/s a device", "compiled in",
    ):  # fmt: skip
        assert text in shown
    assert cli.main(["train", *flags, "--config.batch_size=66"]) == 1
    said = "error: batch_size must be a multiple of the 4 devices, got 66\n"
    assert capsys.readouterr().err == said


@pytest.mark.tpu
def test_a_change_that_fits_is_found_by_compiling(tmp_path, capsys):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (32, 32, 32, 3), np.uint8), np.arange(32) % 10
    np.savez(
        tmp_path / "data.npz", x_train=images, y_train=labels, x_test=images,
        y_test=labels,
    )  # fmt: skip
    config = digits_ikl_at.get_config("natural,quick")
    config.model.name, config.batch_size = "cnn_64", 16
    config.data.source = f"npz:{tmp_path / 'data.npz'}"
    target = Target("v5e:2x2")
    divided = plan(choices.changed(config, {"fsdp": True}), target)
    # Less than the undivided state takes alone, so only what divides it is compiled.
    target = target._replace(memory=(divided.peak + 2**20) / GIB)
    command.main(config, target, platform=None, fit=True)
    shown = capsys.readouterr().out
    assert "for the train state alone" in shown
    assert "it fits with --config.fsdp=True\n" in shown
    assert "all-gather" in shown
