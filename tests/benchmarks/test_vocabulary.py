"""The benchmark of the losses of a linear head compares losses that are the same."""

import jax
import numpy as np
import pytest

from benchmarks import vocabulary

TINY = 16, 4, 10, 8


@pytest.mark.parametrize(
    "form", [pytest.param("logits", marks=pytest.mark.long), "head"]
)
def test_all_forms_have_one_value_and_one_gradient(form):
    *size, chunk = TINY
    given = vocabulary.arguments(*size, form)
    losses = vocabulary.dense, vocabulary.summed, vocabulary.by_token
    expected, *others = (
        jax.jit(vocabulary.value_and_gradients(loss, chunk))(*given) for loss in losses
    )
    for found in others:
        for ours, dense in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
            np.testing.assert_allclose(ours, dense, rtol=1e-4, atol=1e-6)


@pytest.mark.long
def test_the_tables(monkeypatch, capsys):
    monkeypatch.setattr(vocabulary, "SIZES", (TINY,))
    monkeypatch.setattr(vocabulary, "VOCABULARIES", (256,))
    monkeypatch.setattr(vocabulary, "TOKENS", 64)
    monkeypatch.setattr(vocabulary, "WIDTH", 8)
    vocabulary.print_times(1)
    vocabulary.print_memory()
    header, _, *rows = [
        line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()
    ]
    times, memory = rows[:2], rows[-1]
    assert [row[:3] for row in times] == [
        ["16 × 4 × 10", "8", form] for form in ("logits", "head")
    ]
    assert all(len(row) == len(header) for row in times)
    assert all(float(ratio) > 0 for row in times for ratio in row[4:])
    assert memory[0] == "256"
    assert len(memory) == 5
