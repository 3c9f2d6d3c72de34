"""The loop compiles what it needs once, and not again."""

import contextlib

import jax
import pytest
from rich.console import Console

from configs import digits_ikl_at
from train import loop
from train.progress import Display

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
        loop.train(config, tmp_path, Console(quiet=True))
    assert after_step[1] > 0
    assert after_step[22] == after_step[1]
    assert after_epoch[1] > after_step[22]  # the evaluation
    # Saving after the first epoch compiles its checksums.
    assert after_step[44] == after_epoch[2] == after_epoch[4] == after_step[88]
