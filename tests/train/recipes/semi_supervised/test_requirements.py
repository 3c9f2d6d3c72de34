"""Values that the semi-supervised recipes refuse, by the field's name."""

import numpy as np
import pytest

from tests.support.semi_supervised import config
from train.base.errors import UserError
from train.experiment import run, validation
from train.recipes.semi_supervised.consistency import CONSISTENCIES

UNSTOPPED = ", ".join(sorted(n for n, c in CONSISTENCIES.items() if c.moves_target))
BAD = [
    (dict(unlabelled__ratio=0), "unlabelled.ratio must be > 0, got 0"),
    (dict(unlabelled__threshold=1.5), "unlabelled.threshold must lie in .*, got 1.5"),
    (dict(unlabelled__threshold=-0.1), "unlabelled.threshold must lie in .*, got -0.1"),
    (dict(unlabelled__warmup=2.0), "unlabelled.warmup must lie in .*, got 2"),
    (dict(unlabelled__cutout=2.0), "unlabelled.cutout must lie in .*, got 2"),
    (dict(unlabelled__magnitude=31), "unlabelled.magnitude must lie in .*, got 31"),
    (dict(unlabelled__operations=0), "unlabelled.operations must be > 0, got 0"),
    (dict(unlabelled__target_temperature=0.0), "target_temperature must be > 0, got 0"),
    (dict(unlabelled__strong_view="none"), "unknown unlabelled.strong_view 'none'"),
    (dict(unlabelled__gradient="weak"), "unknown unlabelled.gradient 'weak'; known: both, strong"),
    (dict(unlabelled__passes="three"), "unknown unlabelled.passes 'three'; known: joint"),
    (dict(unlabelled__teacher_batch_norm="x"), "unknown unlabelled.teacher_batch_norm"),
    (dict(loss__name="ikl2"), "unknown loss.name 'ikl2'; .*ikl"),
    (dict(loss__name="mse", loss__weights="class_means"),
     "loss.weights must be sample for a consistency without weights, .*loss.name=mse"),
    (dict(loss__name="ce", unlabelled__gradient="both"),
     rf"gives its target gradient \({UNSTOPPED}\), got loss.name=ce"),
    (dict(averaging__decay=1.0), "averaging.decay must be below 1, .* got 1"),
    (dict(steps_per_epoch=0), "recipe=fixmatch needs steps_per_epoch > 0, got 0"),
    (dict(accumulate=2), "accumulate must be 1, got 2"),
    (dict(loss__warmup_epochs=3), "loss.warmup_epochs must be 0 for recipe=fixmatch"),
    (dict(teacher__path="x"), "teacher.path must name .* be empty for others, got 'x'"),
    (dict(data__second_view="plain"), "data.second_view must be none where recipe"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "message"), BAD)
def test_refused(changed, message):
    with pytest.raises(UserError, match=message):
        validation.validate(config("fixmatch", **changed))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            dict(averaging__every="none"),
            "averaging.every must be step .* got none and 0",
        ),
        (dict(averaging__start_epoch=2), "averaging.start_epoch 0, got step and 2"),
        (dict(averaging__decay=1.0), "averaging.decay must be below 1, .* got 1"),
        (dict(unlabelled__gradient="both"), "unlabelled.gradient must be strong for"),
    ],
)
def test_refused_by_mean_teacher(changed, message):
    with pytest.raises(UserError, match=message):
        validation.validate(config("mean_teacher", loss__name="ikl", **changed))


def test_all_training_examples_are_labelled():
    whole = config("fixmatch", data__num_labels=0, batch_size=8)
    whole.evaluation.batch_size = 8
    with pytest.raises(UserError, match="recipe=fixmatch needs data.num_labels > 0 or"):
        run.build(whole)


def test_a_strong_view_of_images_that_it_cannot_transform(tmp_path):
    labels = np.tile(np.arange(4, dtype=np.int32), 10)
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 2), np.uint8)
    path = tmp_path / "two_channels.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    whole = config("fixmatch", data__num_labels=8, data__source=f"npz:{path}")
    whole.batch_size = whole.evaluation.batch_size = 8
    message = "the view uniform_rand_augment of the unlabelled images cannot transform"
    with pytest.raises(UserError, match=message):
        run.build(whole)
