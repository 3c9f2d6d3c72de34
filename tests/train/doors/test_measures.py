"""`--measure` on a run and on converted weights: records, files, pictures, compare."""

import jax
import numpy as np
import pytest

from tests.support.evaluations import evaluations, judge
from train import compare
from train.evaluation import records
from train.experiment import run as runs
from train.networks import converted
from train.reports import measures as pictures

MEASURES = ("calibration", "classes", "margins", "features", "ood")
GIVEN = (f"--measure={','.join(MEASURES)}", "--num_examples=40", "--steps=1",
         "--restarts=1", "--resamples=20", "--distances=3", "--map_examples=10",
         "--ood=noise", "--fit_examples=100")  # fmt: skip


@pytest.mark.long
def test_measures_of_a_run(workdir, capsys):
    assert judge(f"--workdir={workdir}", *GIVEN) == 0
    told = capsys.readouterr().out
    assert "  expected_calibration_error:\n    equal_width: value 0." in told
    stored = evaluations(workdir)
    assert [name.partition(",")[0] for name in stored] == [*MEASURES]
    for name, record in zip(MEASURES, stored.values(), strict=True):
        assert (record["measure"], record["num_examples"]) == (name, 40)
        arrays = records.per_example(workdir, record)
        assert {"index", "label", "predicted", "logits"} < arrays.keys()
        image = (workdir / record["per_example"]).with_suffix(".png").read_bytes()
        assert image.startswith(b"\x89PNG")
        assert (workdir / f"{name}.png").read_bytes() == image
        pictures.PICTURES[name](record, arrays)  # drawn again from the files alone
    before = compare.main([str(workdir)]), capsys.readouterr().out
    (workdir / "evaluation.json").unlink()
    assert (compare.main([str(workdir)]), capsys.readouterr().out) == before


@pytest.mark.long
def test_measures_of_converted_weights_are_those_of_their_run(workdir, tmp_path):
    opened = runs.reopen(workdir)
    weights = runs.newest_state(opened, workdir, print).evaluated
    path = tmp_path / "weights.npz"
    variables = jax.device_get(weights.variables)
    name = opened.config.model.name
    converted.write(path, converted.Converted(name, 10, None, variables))
    given = ("--measure=calibration", "--nopicture")
    assert judge(f"--workdir={workdir}", *given) == 0
    assert judge(f"--weights={path}", "--source=digits", *given) == 0
    (ours,) = evaluations(workdir).values()
    (theirs,) = evaluations(tmp_path / "weights").values()
    for number in ("negative_log_likelihood", "brier_score", "mean_confidence"):
        assert theirs["found"][number] == pytest.approx(ours["found"][number])
    assert not list((tmp_path / "weights").glob("**/*.png"))
    held_out = "--config.data.validation_size=100"
    assert judge(f"--weights={path}", "--source=digits", *given, held_out) == 0
    *_, fitted = evaluations(tmp_path / "weights").values()
    assert fitted["temperature_fitted_on"] == 100
    assert np.isfinite(fitted["found"]["temperature"])
