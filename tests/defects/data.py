"""Defects of the input pipeline, sources, formats and subsets."""

from tests.defects.defect import Defect

DATA = "train/data"
PIPELINE = ("tests/train/data/test_pipeline.py",)
SOURCES = (
    "tests/train/data/test_sources.py",
    "tests/train/data/formats",
    "tests/train/data/subsets",
)
DECODING = ("tests/train/data/formats/test_decoding.py",)
MIXTURE = ("tests/train/data/test_mixture.py",)
CONVERTED = (
    "tests/train/doors/test_convert_synthetic.py",
    "tests/train/doors/test_convert_synthetic_damage.py",
)

DEFECTS = [
    Defect(
        "the test part's padded rows count as examples",
        DATA,
        'yield split.take(mine) | {"index": mine}, places < len(examples)',
        'yield split.take(mine) | {"index": mine}, places <= len(examples)',
        PIPELINE,
    ),
    Defect(
        "the validation part is also trained on",
        DATA,
        "rest = np.setdiff1d(order, held_out)",
        "rest = np.sort(order)",
        SOURCES,
    ),
    Defect(
        "no validation part is taken from the training part",
        DATA,
        "    data = held_out.hold_out(data, data_config, kept=listed)\n",
        "",
        SOURCES,
    ),
    Defect(
        "a long tail keeps one example too many of its classes",
        DATA,
        "max(int(size / num_classes * share + 1e-6), 1)",
        "max(int(size / num_classes * share + 1), 1)",
        SOURCES,
    ),
    Defect(
        "indices of synthetic examples are shifted by one",
        DATA,
        "self.synthetic.take(indices[~is_real] - count)",
        "self.synthetic.take(indices[~is_real] - count - 1)",
        MIXTURE,
    ),
    Defect(
        "real and synthetic examples are not shuffled within a batch",
        DATA,
        "        return rng.permutation(\n            np.concatenate(",
        "        return np.asarray(\n            np.concatenate(",
        MIXTURE,
    ),
    Defect(
        "the fingerprint of a data set does not see its labels",
        DATA,
        '        crc = zlib.crc32(batch["label"].astype(np.int64).tobytes(), crc)\n        shape',
        "        shape",
        ("tests/train/data/test_fingerprint.py",),
    ),
    Defect(
        "CIFAR's files are read whatever their checksum is",
        DATA,
        "    if found != md5:",
        "    if not found:",
        ("tests/train/data/formats/test_cifar.py",),
    ),
    Defect(
        "CIFAR's images are transposed",
        DATA,
        "images.transpose(0, 2, 3, 1)",
        "images.transpose(0, 3, 2, 1)",
        ("tests/train/data/formats/test_cifar.py",),
    ),
    Defect(
        "idx files may be cut short",
        DATA,
        "    if len(raw) != expected:",
        "    if len(raw) > expected:",
        SOURCES,
    ),
    Defect(
        "pickles may name any code but what is allowed",
        DATA,
        "if (module_name, global_name) not in ALLOWED:",
        "if (module_name, global_name) in ALLOWED:",
        ("tests/train/data/formats/test_cifar.py",),
    ),
    Defect(
        "an undecodable image is replaced by the one before it",
        DATA,
        "np.roll(order, -start)[1:])",
        "np.roll(order, -start)[:0:-1])",
        ("tests/train/data/formats",),
    ),
    Defect(
        "transparent pixels show what lies hidden below them",
        DATA,
        "    if image.has_transparency_data:",
        "    if image.has_transparency_data and image.mode == 'RGBA':",
        DECODING,
    ),
    Defect(
        "grey images of 16 bits are clipped, and not scaled",
        DATA,
        "astype(np.float32) * (255 / white)",
        "astype(np.float32)",
        DECODING,
    ),
    Defect(
        "labels with gaps make classes without examples",
        DATA,
        "    if largest != count - 1:",
        "    if largest > 10 * count:",
        ("tests/train/data/formats/test_in_memory.py",),
    ),
    Defect(
        "images with their channels first are read as they are",
        DATA,
        "    elif _channels_first(shape):",
        "    elif _channels_first(shape) and shape[1] == shape[2]:",
        ("tests/train/data/formats/test_in_memory.py",),
    ),
    Defect(
        "hidden folders are classes",
        DATA,
        'if not entry.name.startswith(".") and entry.name not in OF_SYSTEMS:',
        "if entry.name not in OF_SYSTEMS:",
        ("tests/train/data/formats/test_folder.py",),
    ),
    Defect(
        "a checkpoint of other sizes is called damaged",
        "train/experiment/checkpoint.py",
        "            self._check_sizes(step, template)\n",
        "",
        ("tests/train/doors/test_other_data.py",),
    ),
    Defect(
        "a conversion that goes on in the middle of a part repeats an example",
        DATA,
        "_packed(images, labels)[max(start - first, 0) :]",
        "_packed(images, labels)[max(start - first - 1, 0) :]",
        CONVERTED,
    ),
]
