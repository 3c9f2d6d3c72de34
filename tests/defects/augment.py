"""Defects of how images change: crops, flips, policies, Cutout, CutMix."""

from tests.defects.defect import Defect

AUGMENT = "train/data/augment"
CROPS = ("tests/train/data/test_pipeline.py",)
CUTMIX = ("tests/train/data/augment/test_cutmix.py",)
CUTOUT = ("tests/train/data/augment/test_cutout.py",)
OPERATIONS = ("tests/train/data/augment/test_image_ops.py",)
POLICIES = ("tests/train/data/augment",)

DEFECTS = [
    Defect(
        "shifts never reach the last place",
        AUGMENT,
        "rng.integers(0, 2 * padding + 1, (2, count))",
        "rng.integers(0, 2 * padding, (2, count))",
        CROPS,
    ),
    Defect(
        "the images that are not drawn are mirrored",
        AUGMENT,
        "images[:, :, ::-1], images)",
        "images, images[:, :, ::-1])",
        CROPS,
    ),
    Defect(
        "images are mirrored upside down",
        AUGMENT,
        "images[:, :, ::-1], images)",
        "images[:, ::-1], images)",
        CROPS,
    ),
    Defect(
        "CutMix's share is that of the box before it was cut off",
        AUGMENT,
        "share = 1 - within.mean(axis=(1, 2))",
        "share = drawn[:, 0]",
        CUTMIX,
    ),
    Defect(
        "CutMix's share is the partner's",
        AUGMENT,
        "share = 1 - within.mean(axis=(1, 2))",
        "share = within.mean(axis=(1, 2))",
        CUTMIX,
    ),
    Defect(
        "CutMix's box has the wanted area as its side",
        AUGMENT,
        "scale = np.sqrt(1 - drawn[:, 0])",
        "scale = 1 - drawn[:, 0]",
        CUTMIX,
    ),
    Defect(
        "boxes include one row too many",
        AUGMENT,
        "rows = (y >= top) & (y < bottom)",
        "rows = (y >= top) & (y <= bottom)",
        CUTOUT,
    ),
    Defect(
        "Cutout blots out everything but the square",
        AUGMENT,
        "return np.where(within, images.dtype.type(fill), images)",
        "return np.where(~within, images.dtype.type(fill), images)",
        CUTOUT,
    ),
    Defect(
        "translations go the other way",
        AUGMENT,
        "(1, 0, -int(value * image.width), 0, 1, 0)",
        "(1, 0, int(value * image.width), 0, 1, 0)",
        OPERATIONS,
    ),
    Defect(
        "the last bin of a magnitude is out of reach",
        AUGMENT,
        "(last - first) * bins / (num_bins - 1)",
        "(last - first) * bins / num_bins",
        POLICIES,
    ),
    Defect(
        "steps of a policy are taken where they should not be",
        AUGMENT,
        "taken = rng.random(shape) < probabilities[chosen]",
        "taken = rng.random(shape) > probabilities[chosen]",
        POLICIES,
    ),
    Defect(
        "RandAugment draws Invert, too",
        AUGMENT,
        'if name != "Invert")',
        'if name != "Identity")',
        POLICIES,
    ),
]
