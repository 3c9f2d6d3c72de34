"""Data sets of TFDS, written without TensorFlow."""


def tfds_builder(
    data_dir, images, labels, *, name="fashion_mnist", version="3.0.1", classes=10,
    train=80,
):  # fmt: skip
    """The stock name and features, written here without TensorFlow."""
    import tensorflow_datasets as tfds
    from PIL import Image

    stock = name
    shape = images.shape[1:] if images.ndim == 4 else (*images.shape[1:], 1)

    class Written(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = stock
        VERSION = tfds.core.Version(version)

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=shape),
                "label": tfds.features.ClassLabel(num_classes=classes),
            }
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, dl_manager):
            return {
                "train": self._examples(0, train),
                "test": self._examples(train, len(images)),
            }

        def _generate_examples(self):
            raise NotImplementedError

        def _examples(self, start, stop):
            for i in range(start, stop):
                image = Image.fromarray(images[i])
                yield i, {"image": image, "label": int(labels[i])}

    return Written(data_dir=str(data_dir), file_format="array_record")
