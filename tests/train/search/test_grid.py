"""Which runs a sweep consists of, and what is refused before any of them."""

import pytest

from tests.support.results import config as config_json
from train.base.errors import UserError
from train.cli import config_flag
from train.search import cells, grid

FASHION, DIGITS = "configs/fashion_mnist_at.py", "configs/digits_ikl_at.py"


def made(config, *vary, seeds=(), overrides=()):
    axes = grid.axes(vary, config, overrides, config_flag.load)
    return grid.cells(axes, seeds, config, overrides, [], config_flag.load)


def refused(*given, **more):
    with pytest.raises(UserError) as error:
        made(*given, **more)
    return str(error.value)


def test_options_and_fields_are_told_apart():
    found = made(
        f"{FASHION}:quick",
        "loss=kl,gkl",
        "optimizer.learning_rate=0.1,0.2",
        seeds=range(2),
    )
    assert len(found) == 8
    assert [cell.name for cell in found[:2]] == [
        "loss=kl,optimizer.learning_rate=0.1,seed=0",
        "loss=kl,optimizer.learning_rate=0.2,seed=0",
    ]
    last = found[-1]
    assert last.config == f"{FASHION}:quick,loss=gkl"
    assert last.overrides == ("--config.optimizer.learning_rate=0.2", "--config.seed=1")
    assert last.fields["loss"]["name"] == "gkl"
    assert last.fields["optimizer"]["learning_rate"] == 0.2
    assert (last.fields["seed"], last.fields["epochs"]) == (1, 1)


def test_seeds_are_the_outer_loop_and_may_be_left_out():
    names = [cell.name for cell in made(FASHION, "strength=1,2", seeds=range(2))]
    assert names == [f"strength={s},seed={seed}" for seed in (0, 1) for s in (1, 2)]
    (alone,) = made(FASHION, "strength=2")
    assert alone.name == "strength=2"
    assert alone.overrides == ()


def test_a_value_may_hold_commas_and_paths():
    found = made(DIGITS, "optimizer.milestones=(0.5,0.75),(0.9,)")
    assert found[0].fields["optimizer"]["milestones"] == [0.5, 0.75]
    found = made(DIGITS, "data.source=digits,idx:/a/b")
    assert all("/" not in cell.name for cell in found)


def test_names_of_folders_are_never_the_same():
    names = {cells.folder_name({"a": value}) for value in ("x/y", "x_y", "x:y", "x y")}
    assert len(names) == 4
    long = [cells.folder_name({"a": "x" * 300 + end}) for end in "ab"]
    assert len(set(long)) == 2
    assert max(map(len, long)) < 200


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([FASHION, "strenght=1"], "unknown config argument 'strenght'"),
        ([FASHION, "learning_rate=1"], "did you mean optimizer.learning_rate?"),
        ([FASHION, "optimizer.rate=1"], "the config has no field optimizer.rate"),
        ([FASHION, "loss=kl,kll"], "loss must be one of kl, dkl, ikl, gkl, got 'kll'"),
        ([DIGITS, "loss=kl"], "loss is a section of the config; its fields: loss.alpha,"),
        ([FASHION, "epochs=two"], "it must be an integer"),
        ([FASHION, "epochs=1.5"], "it must be an integer"),
        ([FASHION, "epochs"], "--vary must be NAME=VALUE,VALUE,..., got 'epochs'"),
        ([FASHION, "epochs=1,,2"], "--vary must be NAME=VALUE,VALUE,..., got"),
        ([FASHION, "epochs=1,1"], "--vary=epochs has the value 1 more than once"),
        ([FASHION, "epochs=1", "epochs=2"], "--vary=epochs is given more than once"),
        ([f"{FASHION}:loss=kl", "loss=ikl"], "the option loss is named more than once"),
        (["configs/none.py", "epochs=1"], "cannot load --config=configs/none.py"),
    ],
)  # fmt: skip
def test_what_is_refused(given, said):
    assert said in refused(*given)


def test_what_is_given_twice_is_refused():
    assert "--vary=seed and --seeds exclude" in refused(FASHION, "seed=1,2", seeds=[0])
    said = refused(FASHION, "epochs=1", overrides=["--config.epochs=2"])
    assert "--vary=epochs and --config.epochs exclude" in said


def test_the_shell_line_is_quoted(tmp_path):
    (cell,) = made(DIGITS, "data.source=npz:/a b;c")
    line = cells.shell_line(cell._replace(evaluations=(("--steps=3",),)), tmp_path)
    train, evaluate = line.split(" && ")
    assert "'--config.data.source=npz:/a b;c'" in train
    assert evaluate.endswith(f"-m train.evaluate --workdir={tmp_path} --steps=3")


def test_a_cell_knows_all_fields():
    (cell,) = made("configs/base.py", "epochs=3")
    assert cell.fields == config_json(epochs=3)
