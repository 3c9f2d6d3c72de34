"""`--measure=corruptions` on a run: the record, its files, a baseline, what it lacks."""

import numpy as np
import pytest

from tests.support.evaluations import evaluations, judge
from train.evaluation import records

GIVEN = (
    "--measure=corruptions", "--corruptions=fog,contrast", "--severities=1,5",
    "--num_examples=60",
)  # fmt: skip


@pytest.mark.long
def test_corruptions_of_a_run(workdir, capsys):
    given = (f"--workdir={workdir}", *GIVEN)
    assert judge(*given) == 0
    told = capsys.readouterr().out
    assert "  accuracy: fog [0." in told
    ((name, record),) = evaluations(workdir).items()
    assert name.startswith("corruptions, averaged weights of step")
    assert record["found"]["accuracy"].keys() == {"fog", "contrast"}
    arrays = records.per_example(workdir, record)
    assert arrays["corrupted_correct"].shape == (2, 2, 60)
    accuracy = arrays["corrupted_correct"].mean(axis=2)
    np.testing.assert_allclose(record["found"]["accuracy"]["contrast"], accuracy[1])
    assert accuracy[1, 1] < record["natural_accuracy"]
    picture = (workdir / "corruptions.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    # Verdicts are taken from the journal; the run is its own baseline.
    assert judge(*given, f"--baseline={workdir}") == 0
    assert "going on after 4 of 4" in capsys.readouterr().out
    *_, compared = evaluations(workdir).values()
    assert len(evaluations(workdir)) == 2
    assert compared["found"]["mce"] == pytest.approx(1)
    assert compared["found"]["accuracy"] == record["found"]["accuracy"]
    before = evaluations(workdir)
    for refused, message in (
        ("--corruptions=saturate", "saturate changes colours alone"),
        ("--baseline=alexnet", "but the data have 10"),
        (f"--corrupted_images=cifar_c:{workdir}", "lacks labels.npy"),
        ("--epsilon=0.1", "--epsilon is for "),
        ("--attack=pgd", "--attack and --measure cannot be given together"),
    ):
        assert judge(*given, refused) == 1
        assert message in capsys.readouterr().err
    assert evaluations(workdir) == before
