"""The sections of a config, as the rooms that read them see them.

A config is a locked `ml_collections.ConfigDict`, whose attributes no type checker
knows. A function that reads one section takes that section, named after it and typed
by its protocol here; only what reads several takes the whole `Config`. The fields are
those of `configs/base.py`, which says what each means; a test compares the two.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, get_type_hints


class AttackConfig(Protocol):
    alpha: float
    beta: float
    epsilon: float
    epsilon_ramp: float
    first_steps: int
    gamma: float
    loss: str
    norm: str
    relative_step_size: float
    start: str
    start_scale: float
    steps: int


class AveragingConfig(Protocol):
    batch_norm: str
    decay: float
    every: str
    start_epoch: int
    warmup: bool


class AwpConfig(Protocol):
    decay_perturbed: bool
    gamma: float
    second_view_weight: float
    start_epoch: int


class BatchNormConfig(Protocol):
    attack: str
    updates: Sequence[str]


class ContinualConfig(Protocol):
    classes_per_task: int
    cross_entropy: str
    memory: int
    memory_seed: int
    memory_share: float
    order_seed: int
    splits: Sequence[Sequence[int]]
    task: int


class DataConfig(Protocol):
    crop_fill: str
    crop_padding: int
    data_dir: str
    drop_remainder: bool
    evaluate_on: str
    exif_rotation: bool
    flip: bool
    image_size: int
    imbalance_ratio: float
    label_list: str
    label_seed: int
    num_classes: int
    num_labels: int
    random_resized_crop: bool
    resize_shorter: int
    second_view: str
    second_view_cutout: int
    source: str
    synthetic: str
    synthetic_ratio: float
    test_split: str
    threads: int
    train_list: str
    train_split: str
    undecodable: str
    unlabelled: str
    validation_size: int


class EvaluationConfig(Protocol):
    batch_size: int
    during_training: int
    every: int
    relative_step_size: float
    restarts: int
    shots: Sequence[int]
    steps: int


class LossConfig(Protocol):
    alpha: float
    beta: float
    class_means_momentum: float
    cross_entropy: float
    gamma: float
    label_smoothing: float
    name: str
    second_view_weight: float
    strength: float
    temperature: float
    warmup_epochs: int
    weight_temperature: float
    weights: str


class ModelConfig(Protocol):
    bn_groups: int
    bn_momentum: float
    classes_multiple_of: int
    drop_path: float
    dtype: str
    initial_weights: str
    name: str
    normalize: Sequence[Sequence[float]]
    remat: bool


class OptimizerConfig(Protocol):
    b1: float
    b2: float
    clip_norm: float
    cycle_momentum: bool
    decay_factor: float
    decay_vectors: bool
    eps: float
    layer_decay: float
    learning_rate: float
    milestones: Sequence[float]
    momentum: float
    name: str
    nesterov: bool
    schedule: str
    warmup: float
    weight_decay: float


class TeacherConfig(Protocol):
    cache: str
    dtype: str
    path: str


class UnlabelledConfig(Protocol):
    cutout: float
    gradient: str
    magnitude: int
    operations: int
    passes: str
    ratio: int
    strong_view: str
    target_temperature: float
    teacher_batch_norm: str
    threshold: float
    warmup: float


class Config(Protocol):
    """The whole config of a run."""

    accumulate: int
    attack: AttackConfig
    averaging: AveragingConfig
    awp: AwpConfig
    batch_norm: BatchNormConfig
    batch_size: int
    checkpoint_every: int
    continual: ContinualConfig
    data: DataConfig
    epochs: int
    evaluation: EvaluationConfig
    fsdp: bool
    keep_checkpoints: int
    log_every: int
    loss: LossConfig
    mesh: Sequence[int]
    model: ModelConfig
    name: str
    optimizer: OptimizerConfig
    recipe: str
    seed: int
    steps_per_epoch: int
    teacher: TeacherConfig
    unlabelled: UnlabelledConfig

    def to_json(self) -> str: ...

    def update_from_flattened_dict(self, changed: Mapping[str, Any], /) -> None: ...


def kinds() -> Iterator[tuple[str, Any]]:
    """All fields of a config, those of a section as `section.field`, with types."""
    for name, type_ in get_type_hints(Config).items():
        if getattr(type_, "_is_protocol", False):
            for field, kind in get_type_hints(type_).items():
                yield f"{name}.{field}", kind
        else:
            yield name, type_


def names() -> Iterator[str]:
    """The names of all fields of a config."""
    return (name for name, _ in kinds())
