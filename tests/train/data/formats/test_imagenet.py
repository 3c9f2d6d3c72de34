"""ImageNet's TFDS data set, in small: its stock name, features and format."""

import io
import sys

import numpy as np
import pytest

from tests.support.data import data_config
from tests.support.folders import decoded, encoded, pixels, size_of
from train.base.errors import UserError
from train.data import pipeline, sources
from train.data.fingerprint import fingerprint
from train.data.formats.encoded import forms

LABELS = [0, 999, 7, 7, 500, 3, 250, 999, 0, 1, 2, 3]


def contents(seed):
    return encoded(pixels(seed, *size_of(seed)))


def write(data_dir, *, bad=(), unlabelled=()):
    """9 images to train and 3 to validate; those of `bad` are cut."""
    import tensorflow_datasets as tfds

    stock = tfds.builder("imagenet2012", data_dir=str(data_dir))
    names = stock.info.features["label"].names

    class Imagenet2012(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = "imagenet2012"
        VERSION = stock.version

        def _info(self):
            features = {
                "image": tfds.features.Image(encoding_format="jpeg"),
                "label": tfds.features.ClassLabel(names=names),
                "file_name": tfds.features.Text(),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features),
                disable_shuffling=True,
            )  # fmt: skip

        def _split_generators(self, dl_manager):
            return {"train": self._examples(0, 9), "validation": self._examples(9, 12)}

        def _generate_examples(self):
            raise NotImplementedError

        def _examples(self, start, stop):
            for i in range(start, stop):
                content = contents(i)[:200] if i in bad else contents(i)
                yield (
                    i,
                    {
                        "image": io.BytesIO(content),
                        "label": -1 if i in unlabelled else LABELS[i],
                        "file_name": f"n{i:08}_1.JPEG",
                    },
                )

    builder = Imagenet2012(data_dir=str(data_dir), file_format="array_record")
    builder.download_and_prepare()


def config_of(data_dir, **changed):
    small = dict(image_size=32, resize_shorter=36, test_split="validation")
    return data_config("tfds:imagenet2012", data_dir=str(data_dir), **(small | changed))


pytestmark = pytest.mark.filterwarnings("default")


def test_encoded_images_of_tfds(tmp_path):
    write(tmp_path)
    config = config_of(tmp_path)
    data = sources.open_source(config)
    assert (len(data.train), len(data.test), data.num_classes) == (9, 3, 1000)
    assert data.image_shape == (32, 32, 3)
    assert data.class_names is not None
    assert data.class_names[:2] == ("n01440764", "n01443537")
    for split, first in ((data.train, 0), (data.test, 9)):
        seeds = np.arange(first, first + len(split))
        batch = split.take(np.arange(len(split)))
        np.testing.assert_array_equal(batch["label"], [LABELS[i] for i in seeds])
        np.testing.assert_array_equal(split.labels, [LABELS[i] for i in seeds])
        for image, seed in zip(batch["image"], seeds, strict=True):
            expected = forms.evaluation_form(
                decoded(contents(seed)), resize_shorter=36, size=32
            )
            np.testing.assert_array_equal(image, np.asarray(expected))
    assert fingerprint(data).startswith("1000 classes, 9 of 32x32x3 (")
    config.random_resized_crop = True
    batch = next(pipeline.training_batches(data.train, config, batch_size=9, seed=0))
    assert sorted(batch["label"]) == sorted(LABELS[:9])
    assert "tensorflow" not in sys.modules


def test_images_of_many_sizes_need_a_size(tmp_path):
    write(tmp_path)
    data = sources.open_source(config_of(tmp_path, image_size=0))
    with pytest.raises(UserError, match="data.image_size must say to what size"):
        data.train.take(np.arange(9))


def test_a_bad_image_of_tfds_is_named(tmp_path, capsys):
    write(tmp_path, bad=(4, 10), unlabelled=(6,))
    data = sources.open_source(config_of(tmp_path, undecodable="skip"))
    with pytest.raises(UserError, match="'n00000010_1.JPEG' cannot be decoded"):
        data.test.take(np.arange(3))
    batch = data.train.take_training(np.array([3, 4]))
    assert batch["label"].tolist() == [7, 3]
    assert "warning: 'n00000004_1.JPEG' cannot be" in capsys.readouterr().err
    with pytest.raises(UserError, match="'n00000006_1.JPEG' has no label"):
        data.train.take(np.array([6]))


def test_a_list_of_a_tfds_data_set(tmp_path):
    write(tmp_path)
    path = tmp_path / "list.txt"
    path.write_text("8\n1\n")
    config = config_of(tmp_path, train_list=str(path))
    data = sources.open_source(config)
    np.testing.assert_array_equal(data.train.labels, [999, 0])
    path.write_text("n00000001_1.JPEG\n")
    with pytest.raises(UserError, match="only a folder's files can be listed by"):
        sources.open_source(config)
