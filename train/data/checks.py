"""Which values of `config.data` no run can use, by themselves or with its images."""

from train.base import fields
from train.base.config import DataConfig
from train.base.errors import UserError
from train.data.augment import crops, views
from train.data.pipeline import Stream
from train.data.subsets import few_labels


def check(data_config: DataConfig) -> None:
    """Raises `UserError` for the first value that no run can use."""
    fields.one_of(
        "data", data_config, evaluate_on=("test", "validation"),
        undecodable=("error", "skip"), second_view=views.VIEWS,
        crop_fill=crops.FILLS, unlabelled=("all", "others"),
    )  # fmt: skip
    fields.positive("data", data_config, "threads", "resize_shorter")
    fields.non_negative(
        "data", data_config, "validation_size", "crop_padding", "image_size",
        "second_view_cutout", "num_classes", "num_labels", "label_seed",
    )  # fmt: skip
    fields.shares("data", data_config, "synthetic_ratio")
    _check_views(data_config)
    _check_examples(data_config)
    _check_labels(data_config)
    _check_sizes(data_config)


def check_images(data_config: DataConfig, image_shape: tuple[int, int, int]) -> None:
    """Raises `UserError` for what cannot be made from images of this shape."""
    if view := views.of(data_config):
        views.check(view, image_shape, f"data.second_view={view.policy}", data_config)
    shorter = min(image_shape[:2])
    for name in ("crop_padding", "second_view_cutout"):
        if (given := getattr(data_config, name)) >= shorter:
            raise UserError(
                f"data.{name} must be below the shorter side of the images, {shorter} "
                f"pixels, got {given}: nothing of an image may be left"
            )


def check_stream(name: str, stream: Stream, image_shape: tuple[int, int, int]) -> None:
    """Raises `UserError` for what cannot be made from a stream's images."""
    check_images(stream.data_config, image_shape)
    if stream.view is not None:
        title = f"the view {stream.view.policy} of the {name} images"
        views.check(stream.view, image_shape, title, stream.data_config)


def _check_views(data_config: DataConfig) -> None:
    if data_config.second_view_cutout and data_config.second_view == "none":
        raise UserError(
            "data.second_view_cutout must be 0 where data.second_view is none, got "
            f"{data_config.second_view_cutout}"
        )


def _check_examples(data_config: DataConfig) -> None:
    if data_config.num_classes == 1:
        raise UserError(
            "data.num_classes must be 0, for as many as the data show, or >= 2, got 1"
        )
    if not data_config.imbalance_ratio >= 1:
        raise UserError(
            f"data.imbalance_ratio must be >= 1, got {data_config.imbalance_ratio:g}"
        )
    if data_config.evaluate_on == "validation" and not data_config.validation_size:
        raise UserError("data.evaluate_on=validation needs data.validation_size > 0")
    if data_config.train_list and data_config.imbalance_ratio != 1:
        raise UserError(
            "data.train_list says what to train on: data.imbalance_ratio must be 1, "
            f"got {data_config.imbalance_ratio:g}"
        )


def _check_labels(data_config: DataConfig) -> None:
    if data_config.label_list and data_config.num_labels:
        raise UserError(
            "data.label_list says which examples are labelled: data.num_labels must be "
            f"0, got {data_config.num_labels}"
        )
    if data_config.label_list and data_config.imbalance_ratio != 1:
        raise UserError(
            "data.label_list lists examples that a long tail may leave out: "
            f"data.imbalance_ratio must be 1, got {data_config.imbalance_ratio:g}"
        )
    if data_config.unlabelled != "all" and not few_labels.are_asked_for(data_config):
        raise UserError(
            "data.unlabelled must be all where neither data.num_labels nor "
            f"data.label_list is given, got {data_config.unlabelled}"
        )


def _check_sizes(data_config: DataConfig) -> None:
    if data_config.image_size > data_config.resize_shorter:
        raise UserError(
            f"data.image_size must be at most data.resize_shorter="
            f"{data_config.resize_shorter}, got {data_config.image_size}"
        )
    if not data_config.random_resized_crop:
        return
    if not data_config.image_size:
        raise UserError("data.random_resized_crop needs data.image_size > 0, got 0")
    if data_config.crop_padding:
        raise UserError(
            "data.random_resized_crop crops already: data.crop_padding must be 0, got "
            f"{data_config.crop_padding}"
        )
    if data_config.synthetic:
        raise UserError(
            "data.random_resized_crop cuts encoded images, which synthetic ones are "
            "not: it must be False with data.synthetic"
        )
