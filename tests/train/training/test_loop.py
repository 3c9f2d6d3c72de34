"""The loop compiles what it needs once, and not again."""

import contextlib

import jax
import numpy as np
import pytest
from rich.console import Console

from configs import digits_ikl_at
from train.devices import sharding
from train.experiment import run
from train.training import loop, program
from train.training.progress import Display

QUIET = Console(quiet=True)
COMPILED = "/jax/core/compile/backend_compile_duration"


@contextlib.contextmanager
def compilations():
    """A list that grows by one with each program that is compiled."""
    found = []

    def listen(event, seconds, **_):
        if event == COMPILED:
            found.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.slow
@pytest.mark.parametrize("averaging", ["step", "epoch"])
def test_nothing_is_compiled_after_the_first_epoch(tmp_path, monkeypatch, averaging):
    config = digits_ikl_at.get_config("quick")
    config.epochs, config.averaging.every = 4, averaging
    after_step, after_epoch = {}, {}
    step, epoch = Display.step, Display.epoch

    with compilations() as compiled:

        def stepped(display, number, *rest):
            after_step[number] = len(compiled)
            step(display, number, *rest)

        def closed(display, last, number, *rest):
            after_epoch[number] = len(compiled)
            epoch(display, last, number, *rest)

        monkeypatch.setattr(Display, "step", stepped)
        monkeypatch.setattr(Display, "epoch", closed)
        loop.train(config, tmp_path, QUIET)
    assert after_step[1] > 0
    assert after_step[22] == after_step[1]
    assert after_epoch[1] > after_step[22]  # the evaluation
    # Saving after the first epoch compiles its checksums.
    assert after_step[44] == after_epoch[2] == after_epoch[4] == after_step[88]


def test_a_step_takes_its_states_place_and_copies_nothing_from_the_host():
    config = digits_ikl_at.get_config("natural,quick")
    built = run.build(config)
    state, step = built.initial_state(), program.compiled_step(built)
    host = built.data.train.take(np.arange(64))
    batch = sharding.put(host, built.mesh)
    after, _ = step(state, batch)
    donated = [leaf.is_deleted() for leaf in jax.tree.leaves(state.opt_state)]
    assert all(donated)
    with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
        step(after, host)


@pytest.mark.long
def test_a_finished_run_is_not_evaluated_otherwise(tmp_path, capsys):
    config = digits_ikl_at.get_config("natural,quick")
    config.epochs = 1
    loop.train(config, tmp_path, QUIET)
    config.evaluation.steps = 50
    loop.train(config, tmp_path, Console(width=200))
    said = capsys.readouterr().out
    assert "is finished" in said
    assert "evaluate it otherwise with python -m train.evaluate" in said
