"""Images that are not of the model's data, in the shape that the model takes."""

import copy
import dataclasses
from typing import NamedTuple

import numpy as np
from PIL import Image

from train.base.errors import UserError
from train.base.types import Batch
from train.data import fingerprint, sources
from train.data.formats.encoded import Encoded
from train.data.splits import OneForm, Split, part_of
from train.evaluation.measures.context import Context
from train.evaluation.unlabelled import ALL_EXAMPLES

NOISE = "noise"
Shape = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Noise(OneForm):
    """Images whose pixels are drawn uniformly from 0 to 255, each independently.

    Attributes:
      count: how many there are.
      shape: (H, W, K) of each.
      seed: an image depends on it and on the image's position alone.
    """

    count: int
    shape: Shape
    seed: int

    def __len__(self) -> int:
        return self.count

    def take(self, indices: np.ndarray) -> Batch:
        drawn = [
            np.random.default_rng([self.seed, i]).integers(0, 256, self.shape, np.uint8)
            for i in indices.tolist()
        ]
        images = np.stack(drawn) if drawn else np.zeros((0, *self.shape), np.uint8)
        return {"image": images, "label": np.zeros(len(indices), np.int32)}

    @property
    def labels(self) -> np.ndarray:
        return np.zeros(self.count, np.int32)


@dataclasses.dataclass(frozen=True)
class Resized(OneForm):
    """The images of a split in another size.

    The whole image is resized by Pillow's bilinear filter, which averages where it
    shrinks; the aspect ratio is not kept. Grey images become three equal channels.

    Attributes:
      split: the images, with one channel or as many as `shape`.
      shape: (H, W, K) of what is returned.
    """

    split: Split
    shape: Shape

    def __len__(self) -> int:
        return len(self.split)

    def take(self, indices: np.ndarray) -> Batch:
        batch = self.split.take(indices)
        return {**batch, "image": resized(batch["image"], self.shape)}

    @property
    def labels(self) -> np.ndarray:
        return self.split.labels


def resized(images: np.ndarray, shape: Shape) -> np.ndarray:
    """uint8 images `[N, h, w, k]` as `[N, H, W, K]`; see `Resized`."""
    height, width, channels = shape
    if images.shape[1:3] != (height, width):
        resize = lambda plane: np.asarray(
            Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR)
        )
        planes = np.moveaxis(images, -1, 1).reshape(-1, *images.shape[1:3])
        new = np.stack([resize(np.ascontiguousarray(plane)) for plane in planes])
        images = np.moveaxis(new.reshape(len(images), -1, height, width), 1, -1)
    if images.shape[-1] != channels:
        images = np.repeat(images, channels, axis=-1)
    return images


class Others(NamedTuple):
    """Images of another source.

    Attributes:
      split: the images, in the shape that the model takes.
      fingerprint: of the source's own images; of noise, what it depends on.
      shape: (h, w, k) of the source's own images.
    """

    split: Split
    fingerprint: str
    shape: Shape


def noise(source: str, context: Context) -> Others:
    """As much noise as there are evaluated examples.

    Args:
      source: "noise" or "noise:SEED"; the seed is 0 if it is not given.
      context: of the evaluated examples.

    Raises:
      UserError: the seed is no integer from 0.
    """
    _, colon, given = source.partition(":")
    if colon and not given.isdecimal():
        raise UserError(f"--ood={source}: the seed of noise must be an integer >= 0")
    seed = int(given or 0)
    shape = context.target.data.image_shape
    split = Noise(context.count, shape, seed)
    return Others(split, f"{len(split)} of uniform noise, seed {seed}", shape)


def of_source(source: str, context: Context) -> Others:
    """A part of another source; as many of it, evenly spread, as --num_examples says.

    Encoded images are cut to the square around the centre, as `data.image_size` does.

    Raises:
      UserError: the source cannot be read, holds the evaluated images themselves, or
        has channels that the model does not take.
    """
    target = context.target
    shape = target.data.image_shape
    split = _opened(source, context)
    found = tuple(split.take(np.arange(1))["image"].shape[1:])
    if found[-1] not in (1, shape[-1]):
        raise UserError(
            f"--ood={source} has images of {found[-1]} channels, and the model takes "
            f"{shape[-1]}: only images of one channel or as many can be compared"
        )
    content = fingerprint.of_split(split)
    if content == target.data_fingerprint:
        raise UserError(
            f"--ood={source} holds the evaluated images themselves ({content}): name "
            "another source"
        )
    split = spread(split, context.options.num_examples or len(split))
    return Others(Resized(split, shape), content, found)


def spread(split: Split, count: int) -> Split:
    """`count` examples at even distances, or all if there are not more."""
    if count >= len(split):
        return split
    return part_of(split, np.linspace(0, len(split) - 1, count).astype(np.int64))


def _opened(source: str, context: Context) -> Split:
    """The part that is asked for, whole and in the order of the source itself."""
    data_config = copy.deepcopy(context.target.config.data)
    fields = {**ALL_EXAMPLES, "source": source, "image_size": 0, "synthetic": ""}
    fields |= dict.fromkeys(("train_split", "test_split"), context.values["ood_split"])
    for name, value in fields.items():
        setattr(data_config, name, value)
    split = sources.open_source(data_config).test
    if not isinstance(split, Encoded):
        return split
    height, width, _ = context.target.data.image_shape
    if height != width:
        raise UserError(
            f"--ood={source} has encoded images, which are cut to squares, and the "
            f"model takes {height} x {width}: convert them to an npz file"
        )
    data_config.image_size = data_config.resize_shorter = height
    return sources.open_source(data_config).test
