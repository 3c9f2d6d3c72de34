"""The numerical check of Theorem 1, and its command."""

import subprocess
import sys

import pytest

import ikl_jax
from ikl_jax.verify import __main__ as sweep
from tests.conftest import ROOT


def test_a_wrong_gradient_is_seen(monkeypatch):
    close = ikl_jax.verify.gradient_equivalence((4, 7))
    assert max(close) < 1e-6
    wrong = lambda n, m: ikl_jax.dkl_loss(n, m, alpha=1.01)
    monkeypatch.setattr(ikl_jax.verify, "dkl_loss", wrong)
    deviation = ikl_jax.verify.gradient_equivalence((4, 7))
    assert deviation.logits < 1e-6 < 1e-4 < deviation.target_logits


@pytest.mark.long
def test_the_sweep_fails_above_tolerance(monkeypatch, capsys):
    monkeypatch.setattr(sweep, "SHAPES", ((3,),))
    assert sweep.main() == 0
    assert "all within tolerance" in capsys.readouterr().out
    wrong = lambda n, m: ikl_jax.dkl_loss(n, m, beta=0.99)
    monkeypatch.setattr(ikl_jax.verify, "dkl_loss", wrong)
    assert sweep.main() == 1
    assert "ABOVE TOLERANCE" in capsys.readouterr().out


@pytest.mark.slow
def test_the_command():
    command = [sys.executable, "-W", "error", "-m", "ikl_jax.verify"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "all within tolerance" in done.stdout
