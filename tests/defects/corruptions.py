"""Defects of common corruptions, of published ones, and of the measure."""

from tests.defects.defect import Defect

ROOM = "train/data/corruptions"
MEASURE = "train/evaluation/measures/corruptions"
OPERATIONS = ("tests/train/data/corruptions/test_operations.py",)
CORRUPTED = ("tests/train/data/corruptions/test_corrupted.py",)
FILTERS = ("tests/train/data/corruptions/test_filters.py",)
IMAGES = ("tests/train/data/corruptions/test_images.py",)
MEASURED = ("tests/train/evaluation/measures/test_corruptions.py",)
SCORES = ("tests/train/evaluation/measures/test_scores_of_corruptions.py",)

DEFECTS = [
    Defect(
        "all images of a batch share their random numbers",
        ROOM,
        "index * 8 + severity]",
        "severity]",
        CORRUPTED,
    ),
    Defect(
        "random numbers depend on the place within a batch",
        ROOM,
        "[generator(seed, int(i), name, severity) for i in indices]",
        "[generator(seed, i, name, severity) for i in range(len(indices))]",
        CORRUPTED,
    ),
    Defect(
        "glass blur swaps pixels, as the authors meant",
        ROOM,
        "origin[place] = origin[other]",
        "origin[place], origin[other] = origin[other], origin[place]",
        OPERATIONS,
    ),
    Defect(
        "small images take the parameters of ImageNet-C",
        ROOM,
        "table = self.small if is_small(side) else self.large",
        "table = self.large",
        CORRUPTED,
    ),
    Defect(
        "saturation of grey images is not refused",
        ROOM,
        "if corruption.needs_colour and channels == 1:",
        "if corruption.needs_colour and channels == 0:",
        CORRUPTED,
    ),
    Defect(
        "motion goes on for one pixel only",
        ROOM,
        "steps = steps[weights > 1e-5]",
        "steps = steps[:2]",
        FILTERS,
    ),
    Defect(
        "severities of CIFAR-10-C begin at the second block",
        ROOM,
        "start = (severity - 1) * self._count",
        "start = severity * self._count",
        IMAGES,
    ),
    Defect(
        "images of ImageNet-C are enlarged and cut",
        "train/data/formats/encoded",
        "config.image_size = config.resize_shorter = height",
        "config.image_size = height",
        IMAGES,
    ),
    Defect(
        "verdicts are in the order of batches, not of examples",
        MEASURE,
        "correct[outputs.indices] = outputs.predicted == outputs.labels",
        "correct[:] = outputs.predicted == outputs.labels",
        MEASURED,
    ),
    Defect(
        "the journal is of any images",
        MEASURE,
        'OF_THE_WHOLE = ("corruptions", "severities", "baseline")',
        'OF_THE_WHOLE = ("corruptions", "baseline", "corrupted_images", "seed")',
        MEASURED,
    ),
    Defect(
        "relative mCE does not subtract the baseline's natural error",
        MEASURE,
        "_ratio(error - natural_error, other - start)",
        "_ratio(error - natural_error, other)",
        SCORES,
    ),
    Defect(
        "mCE is over the extra corruptions too",
        MEASURE,
        "_mean([ratios.get(name) for name in averaged])",
        "_mean([ratios.get(name) for name in names])",
        SCORES,
    ),
]
