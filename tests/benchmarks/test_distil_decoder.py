"""The benchmark of the small decoder prints its tables, and goes on where it ended."""

from typing import Any

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from benchmarks import distil_decoder

STUDENT = {"width": 32, "depth": 1, "steps": 2}
TEACHER = STUDENT | {"vocabulary": 260, "length": 8, "top_k": 4, "documents": 30}


@pytest.fixture
def cache():
    """Restores what the benchmark sets."""
    settings: Any = jax.config
    before = settings.jax_compilation_cache_dir
    yield
    settings.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


@pytest.mark.long
@pytest.mark.usefixtures("cache")
def test_the_tables(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(distil_decoder, "TEACHER", TEACHER)
    monkeypatch.setattr(distil_decoder, "STUDENT", STUDENT)
    monkeypatch.setattr(distil_decoder, "RATES", (1e-3, 1e-2))
    monkeypatch.setattr(distil_decoder, "STRENGTHS", (1.0,))
    monkeypatch.setattr(distil_decoder, "METHODS", ("kd",))
    monkeypatch.setattr(distil_decoder, "CACHED", ("kd",))
    monkeypatch.setattr(distil_decoder, "TARGETS", ("top4",))
    monkeypatch.setattr(distil_decoder, "SEEDS", (0, 1))
    monkeypatch.setattr("sys.argv", ["distil_decoder.py", f"--runs={tmp_path}"])
    distil_decoder.main()
    printed = capsys.readouterr().out
    rows = [
        line.strip("| ").split(" | ") for line in printed.splitlines() if "|" in line
    ]
    assert [row[0] for row in rows if not row[0].startswith("---")] == [
        "loss", "ce", "kd", "loss", "ce", "kd", "loss", "kd", "kd",
    ]  # fmt: skip
    # A rate each for CE, a strength of KD; two seeds of CE, KD and KD with top 4.
    finished = list(tmp_path.glob("width=*.json"))
    assert len(finished) == 2 + 1 + 2 + 2 + 2
    finished[0].unlink()
    monkeypatch.setattr("benchmarks.distil_decoder.example.teacher", None)
    distil_decoder.main()
    assert capsys.readouterr().out == printed
    monkeypatch.setattr(distil_decoder, "TEACHER", TEACHER | {"seed": 1})
    with pytest.raises(SystemExit, match="has a teacher of other arguments"):
        distil_decoder.main()
