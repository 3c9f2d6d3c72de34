"""What a command line cannot use: one sentence, an exit code, nothing written."""

import pytest

from train import cli

DIGITS = "configs/digits_ikl_at.py:quick"

BAD = {
    "unknown field": (
        ["--config.learning_rte=0.1"], 2, "learning_rte; did you mean optimizer.learning_rate?",
    ),
    "nearest field": (
        ["--config.optimizer.learning_rat=0.1"], 2, "did you mean optimizer.learning_rate?",
    ),
    "initials": (["--config.lr=1"], 2, "no field lr; did you mean optimizer.learning_rate?"),
    "section": (["--config.awp=3"], 2, "awp is a section of the config; its fields: awp.decay"),
    "no name": (["--config.=3"], 2, "the config has no field"),
    "subscript": (
        ["--config.optimizer.milestones[0]=1"], 2, "did you mean optimizer.milestones?",
    ),
    "number": (["--config.awp.gamma=x"], 2, "must be a number, or a fraction as 8/255"),
    "fraction": (["--config.awp.gamma=1/0"], 2, "must be a number, or a fraction as 8/255"),
    "boolean": (["--config.fsdp=maybe"], 2, "--config.fsdp=maybe: it must be True or False"),
    "flag file": (["--flagfile=/nowhere"], 2, "Unable to open flagfile"),
    "not a number": (
        ["--config.optimizer.learning_rate=nan"], 1,
        "optimizer.learning_rate must be a finite number, got nan",
    ),
    "not finite": (["--config.loss.beta=inf"], 1, "loss.beta must be a finite number, got inf"),
    "large": (["--config.seed=9999999999"], 1, "seed must be at most 2147483647, got 9999999999"),
    "very negative": (["--config.epochs=-9999999999"], 1, "epochs must be at least -2147483647"),
    "many steps": (["--config.epochs=2000000000"], 1, "2000000000 of 22 steps are 44000000000"),
    "seed": (["--config.seed=-1"], 1, "seed must be >= 0, got -1"),
    "words": (
        ["--config.mesh=data,model"], 1,
        "mesh must be a list of integers up to 2147483647, got ('data,model',)",
    ),
    "words for shots": (["--config.evaluation.shots=a"], 1, "shots must be a list of integers"),
    "words for shares": (
        ["--config.optimizer.milestones=nan"], 1,
        "milestones must be a list of finite numbers, got ('nan',)",
    ),
    "order": (
        ["--config.optimizer.milestones=0.7,0.3"], 1,
        "within (0, 1), each larger than the one before, got (0.7, 0.3)",
    ),
    "normalisation": (
        ["--config.model.normalize=0.5,0.5"], 1,
        "model.normalize must be a list of lists of finite numbers, got (0.5, 0.5)",
    ),
    "normalisation of one": (
        ["--config.model.normalize=(0.5,),(0.5,0.4)"], 1,
        "model.normalize must be empty, or the means and the deviations",
    ),
    "deviation": (["--config.model.normalize=(0.5,),(0.0,)"], 1, "deviations must be > 0, got (0.0,)"),
    "channels": (
        [
            "--config.model.name=wide_resnet_10_1",
            "--config.model.normalize=(0.5,0.5),(0.5,0.5)",
        ],
        1, "model.normalize must have 1 means and deviations",
    ),
    "pixels": (
        ["--config.attack.epsilon=8"], 1,
        "at most 1 in linf for images (8, 8, 1), got 8; did you mean 8/255?",
    ),
    "pixels in l2": (
        ["--config.attack.epsilon=8.1", "--config.attack.norm=l2"], 1, "at most 8 in l2",
    ),
    "alpha": (["--config.loss.alpha=-1"], 1, "loss.alpha must be >= 0, got -1"),
    "alpha of the attack": (["--config.attack.alpha=-1"], 1, "attack.alpha must be >= 0"),
    "one momentum": (["--config.optimizer.momentum=5"], 1, "momentum must lie in [0, 1), got 5"),
    "decay factor": (
        ["--config.optimizer.decay_factor=-1"], 1, "optimizer.decay_factor must be > 0",
    ),
    "type": (["--config.epochs=many"], 2, "epochs"),
    "model": (["--config.model.name=wide_resnet_28"], 1, "did you mean 'wide_resnet_28_10'"),
    "loss": (["--config.loss.name=ilk"], 1, "unknown loss.name 'ilk'; did you mean 'ikl'"),
    "source": (["--config.data.source=digit"], 1, "did you mean 'digits'"),
    "recipe": (["--config.recipe=adversarail"], 1, "did you mean 'adversarial'"),
    "norm": (["--config.attack.norm=l3"], 1, "unknown attack.norm 'l3'"),
    "epsilon": (["--config.attack.epsilon=-0.1"], 1, "attack.epsilon must be >= 0, got -0.1"),
    "temperature": (
        ["--config.loss.weight_temperature=0.0"], 1, "loss.weight_temperature must be > 0, got 0",
    ),
    "start": (["--config.attack.start=natural"], 1, "must be uniform, or gaussian with"),
    "still start": (["--config.attack.start_scale=0.0"], 1, "no gradient at the natural"),
    "examples": (["--config.evaluation.during_training=0"], 1, "must be > 0, got 0"),
    "groups": (["--config.model.bn_groups=2"], 1, "bn_groups"),
    "indivisible groups": (
        ["--config.model.name=wide_resnet_10_1", "--config.model.bn_groups=3"],
        1,
        "bn_groups must divide the batch of 64, got 3",
    ),
    "dtype": (["--config.model.dtype=float16"], 1, "unknown model.dtype 'float16'"),
    "remat": (
        ["--config.model.remat=True"], 1,
        "model.remat must be False for cnn, which has no blocks to recompute, got True",
    ),
    "no parts": (["--config.accumulate=0"], 1, "accumulate must be > 0, got 0"),
    "parts": (
        ["--config.accumulate=3"], 1,
        "batch_size must be a multiple of accumulate=3, got a batch of 64",
    ),
    "parts on devices": (
        ["--config.accumulate=16"], 1,
        "batch_size / 16 (accumulate) must be a multiple of the 8 devices, got 4",
    ),
    "parts of a remainder": (
        ["--config.accumulate=2", "--config.data.drop_remainder=False"], 1,
        "the last batch of an epoch (data.drop_remainder=True leaves it out) must be a "
        "multiple of accumulate=2, got a batch of 29",
    ),
    "parts without groups": (
        ["--config.model.name=wide_resnet_10_1", "--config.accumulate=2"], 1,
        "model.bn_groups must be a multiple of accumulate=2, got 1",
    ),
    "padding of gkl": (
        ["--config.model.classes_multiple_of=4", "--config.loss.name=gkl", "--config.loss.gamma=0.0"],
        1, "classes_multiple_of must be 1, or gamma above 0",
    ),
    "parts of gkl": (
        ["--config.accumulate=2", "--config.loss.name=gkl", "--config.loss.weights=sample"],
        1,
        "accumulate=2 cannot give GKL's loss of the whole batch",
    ),
    "parts of gkl's attack": (
        ["--config.accumulate=2", "--config.loss.name=kl", "--config.attack.loss=gkl"], 1,
        "accumulate must be 1",
    ),
    "class means of the attack": (
        ["--config.loss.name=kl", "--config.attack.loss=class_wise_dkl"], 1,
        "attack.loss=class_wise_dkl takes its weights from the class means",
    ),
    "remainder": (
        ["--config.data.drop_remainder=False"], 1, "a multiple of the 8 devices, got 29",
    ),
    "nothing to read": (["--config.data.source=idx:"], 1, "needs what to read"),
    "share": (["--config.optimizer.warmup=2.0"], 1, "optimizer.warmup must lie in [0, 1]"),
    "batch": (["--config.batch_size=1440"], 1, "at most the 1437 training examples, got 1440"),
    "devices": (["--config.batch_size=63"], 1, "a multiple of the 8 devices, got 63"),
    "evaluation batch": (["--config.evaluation.batch_size=9"], 1, "multiple of the 8 devices"),
    "idx": (["--config.data.source=idx:/nowhere"], 1, "there is no folder '/nowhere'"),
    "imbalance": (["--config.data.imbalance_ratio=0.5"], 1, "imbalance_ratio must be >= 1, got 0.5"),
    "size": (
        ["--config.data.image_size=300"], 1,
        "data.image_size must be at most data.resize_shorter=256, got 300",
    ),
    "negative size": (["--config.data.image_size=-1"], 1, "data.image_size must be >= 0"),
    "no shorter side": (
        ["--config.data.resize_shorter=0"], 1, "data.resize_shorter must be > 0, got 0",
    ),
    "size of arrays": (
        ["--config.data.image_size=32"], 1, "those of digits are all (8, 8, 1)",
    ),
    "crop without size": (
        ["--config.data.random_resized_crop=True"], 1, "needs data.image_size > 0, got 0",
    ),
    "two crops": (
        ["--config.data.random_resized_crop=True", "--config.data.image_size=32"], 1,
        "data.crop_padding must be 0, got 1",
    ),
    "undecodable": (
        ["--config.data.undecodable=ignore"], 1, "unknown data.undecodable 'ignore'",
    ),
    "list and long tail": (
        ["--config.data.train_list=x", "--config.data.imbalance_ratio=10.0"], 1,
        "data.imbalance_ratio must be 1, got 10",
    ),
    "list": (
        ["--config.data.train_list=/nowhere"], 1, "'/nowhere' cannot be read",
    ),
    "folder": (["--config.data.source=folder:/nowhere"], 1, "no folder '/nowhere'"),
    "cutout": (
        ["--config.data.second_view_cutout=2"], 1,
        "data.second_view_cutout must be 0 where data.second_view is none, got 2",
    ),
    "large cutout": (
        ["--config.data.second_view=plain", "--config.data.second_view_cutout=8"], 1,
        "data.second_view_cutout must be below the shorter side of the images, 8 pixels",
    ),
    "padding": (
        ["--config.data.crop_padding=8"], 1,
        "data.crop_padding must be below the shorter side of the images, 8 pixels, got 8",
    ),
    "one class": (
        ["--config.data.num_classes=1"], 1, "data.num_classes must be 0, for as many as",
    ),
    "number of classes": (
        ["--config.data.num_classes=8"], 1,
        "digits (train): labels must be below the number of classes, 8, got 9",
    ),
    "momentum": (
        ["--config.optimizer.cycle_momentum=True"], 1,
        "optimizer.cycle_momentum is for the schedules one_cycle and one_cycle_per_epoch",
    ),
    "optimiser": (
        ["--config.optimizer.name=adam"], 1, "unknown optimizer.name 'adam'; did you mean 'radam' or 'adamw'",
    ),
    "unused beta": (
        ["--config.optimizer.b1=0.8"], 1,
        "optimizer.b1 must be -1.0 for sgd, which has no use for it, got 0.8",
    ),
    "unused nesterov": (
        ["--config.optimizer.name=lion", "--config.optimizer.nesterov=True"], 1,
        "optimizer.nesterov must be False for lion",
    ),
    "beta": (
        ["--config.optimizer.name=adamw", "--config.optimizer.b2=1.0"], 1,
        "optimizer.b2 must lie in [0, 1), or be -1 for Optax's default, got 1",
    ),
    "layer decay": (
        ["--config.optimizer.layer_decay=1.5"], 1,
        "optimizer.layer_decay must lie in [0, 1], got 1.5",
    ),
    "clipping": (
        ["--config.optimizer.clip_norm=-1.0"], 1, "optimizer.clip_norm must be >= 0",
    ),
    "ramp": (
        ["--config.attack.epsilon_ramp=30.0"], 1, "attack.epsilon_ramp must lie in [0, 1]",
    ),
    "platform": (["--platform=cpu"], 1, "--platform is for --plan"),
    "validation": (
        ["--config.data.evaluate_on=validation"], 1, "needs data.validation_size > 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_configs(name, tmp_path, capsys):
    overrides, code, message = BAD[name]
    workdir = tmp_path / "run"
    arguments = ["train", f"--config={DIGITS}", f"--workdir={workdir}", *overrides]
    assert cli.main(arguments) == code
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not workdir.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workdir=x"], "--config is required"),
        ([f"--config={DIGITS}", "--workdir="], "--workdir is required"),
        (
            ["--config=configs/digits_ikl_at.py:quick=1", "--workdir=x"],
            "takes no value",
        ),
        (
            ["--config=configs/digits_ikl_at.py:quick,quick", "--workdir=x"],
            "more than once",
        ),
        (["--config=configs/digits_distill.py:loss", "--workdir=x"], "needs a value"),
        (
            ["--config=configs/fashion_mnist_at.py:strength=x", "--workdir=x"],
            "strength must be a number, got 'x'",
        ),
        ([f"--config={DIGITS}"], "--workdir is required"),
        (["--config=configs/none.py", "--workdir=x"], "configs/none.py"),
        (["--config=configs/base.py:fast", "--workdir=x"], "takes no argument"),
        (
            ["--config=configs/digits_ikl_at.py:fast", "--workdir=x"],
            "unknown config argument",
        ),
        ([f"--config={DIGITS}", "--workdir=x", "--epochs=3"], "epochs"),
        ([f"--config={DIGITS}", "--workdir=x", "more"], "unexpected arguments: more"),
    ],
)
def test_bad_command_lines(arguments, message, capsys):
    assert cli.main(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
