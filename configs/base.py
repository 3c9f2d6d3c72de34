"""Every field there is, with the defaults that other configs start from.

A config holds numbers and names; what is built from them is built in `train/`.
Epsilons and step sizes are in pixels of [0, 1].
"""

from collections.abc import Callable, Iterable
from typing import Any

from ml_collections import ConfigDict

Config = Any  # a ConfigDict, whose fields no checker knows
Variant = Callable[[Config, str], None]


def get_config(argument: str = "") -> Config:
    config = section()
    config.name = "base"
    config.recipe = "adversarial"  # adversarial | distillation | supervised
    config.seed = 0
    config.epochs = 30
    config.batch_size = 64  # over all devices
    config.accumulate = 1  # equal parts of each batch, one after another; docs/pods.md
    config.mesh = (-1, 1)  # devices as (data, model); -1: those that are left
    config.fsdp = False  # large leaves of the state divided over `data`
    config.log_every = 10  # steps between lines of metrics.jsonl
    config.checkpoint_every = 1  # epochs
    config.keep_checkpoints = 2

    config.model = section()
    config.model.name = "cnn"  # or another that python -m ikl_jax.models lists
    # BatchNorm's statistics over this many parts of the batch, each for itself, as on
    # as many GPUs; the first part's go into the running ones.
    config.model.bn_groups = 1
    config.model.bn_momentum = 0.1  # share of the batch's in the running statistics
    # The classifier and the class means get columns of no class up to a multiple of
    # this, so that the mesh's `model` axis can divide them.
    config.model.classes_multiple_of = 1
    config.model.dtype = "float32"  # float32 | bfloat16: of the computation in it
    # (mean, deviation) a channel, applied in the model; empty: the architecture's own,
    # which is none but for wide_resnet_swish.
    config.model.normalize = ()
    config.model.remat = False  # forget what is within blocks, compute it again

    config.data = section()
    # digits | idx:DIR | npz:FILE | cifar10:DIR | cifar100:DIR | folder:DIR | tfds:NAME
    config.data.source = "digits"
    config.data.data_dir = ""  # where TFDS keeps its data sets; empty: its default
    config.data.train_split = "train"  # names within a tfds source or a folder
    config.data.test_split = "test"
    config.data.train_list = (
        ""  # a file that lists the examples to train on; docs/data.md
    )
    config.data.validation_size = 0  # examples held out of the training part
    # Of the most to the least frequent class of the training part; 1: as it is.
    config.data.imbalance_ratio = 1.0
    config.data.evaluate_on = "test"  # test | validation
    # Encoded images of any size become squares: the centre, or a random part resized.
    config.data.image_size = 0  # pixels; 0: all images have one size, and keep it
    config.data.resize_shorter = 256  # pixels of the shorter side around the centre
    config.data.random_resized_crop = False  # in training, instead of the centre
    config.data.undecodable = "error"  # error | skip: the next image is trained on
    config.data.crop_padding = 0  # pixels around a random crop; 0: none
    config.data.flip = False  # mirror half of the images
    # Of each image a second view to train on, with a crop and mirroring of its own:
    # none | plain | auto_augment | rand_augment (adversarial)
    config.data.second_view = "none"
    config.data.second_view_cutout = 0  # pixels of a black square's side; 0: none
    config.data.drop_remainder = True  # of an epoch's last, incomplete batch
    # A folder of train.convert_synthetic, to train on as well; docs/data.md
    config.data.synthetic = ""
    # Of every batch: round(this * batch_size) rows are synthetic, the others real.
    config.data.synthetic_ratio = 0.7
    config.data.threads = 2  # that read ahead, and as many that decode

    config.optimizer = section()
    # sgd | adamw | lamb | lion | lars | others that docs/configs.md lists
    config.optimizer.name = "sgd"
    config.optimizer.learning_rate = 0.1
    config.optimizer.momentum = 0.9  # of sgd and lars; the others do not read it
    config.optimizer.nesterov = False  # of sgd and lars
    # Decay rates of the averages of gradients and of their squares, and what is added
    # to the denominator, for the optimisers that have them; -1: Optax's default.
    config.optimizer.b1 = -1.0
    config.optimizer.b2 = -1.0
    config.optimizer.eps = -1.0
    config.optimizer.clip_norm = 0.0  # largest norm of the whole gradient; 0: any
    # Learning rate of each layer as a share of the next layer's; 1: all have the same.
    config.optimizer.layer_decay = 1.0
    # With a one-cycle: momentum from 0.95 to 0.85 at its peak and back, as torch's.
    config.optimizer.cycle_momentum = False
    # sgd adds it to the gradient; the others take it off the weights, times the rate.
    config.optimizer.weight_decay = 5e-4
    # The authors decay everything; False spares biases and BatchNorm.
    config.optimizer.decay_vectors = False
    # cosine: per step, to zero | cosine_per_epoch: the authors', see docs/configs.md |
    # cosine_from_peak_per_epoch | step: times decay_factor after each milestone |
    # one_cycle: torch's | one_cycle_per_epoch | constant
    config.optimizer.schedule = "cosine"
    config.optimizer.milestones = (0.5, 0.75)  # shares of the epochs, for step
    config.optimizer.decay_factor = 0.1
    # Share of the steps; for the cosines and the one-cycles (these take 0.3 for 0).
    config.optimizer.warmup = 0.0

    # adversarial: cross-entropy(natural) + strength * divergence(adversarial, natural)
    # distillation: cross_entropy * cross-entropy(student) + strength * loss(student,
    # teacher), of kd | dkd | dkl | ikl | gkl
    config.loss = section()
    config.loss.name = "ikl"  # kl (TRADES) | dkl | class_wise_dkl | ikl | gkl
    config.loss.cross_entropy = 1.0  # its weight (distillation)
    config.loss.strength = 1.0
    config.loss.warmup_epochs = 0  # strength * min(1, epoch / this) (distillation)
    config.loss.alpha = 20.0  # of the weighted squared error; in dkd its own
    config.loss.beta = 4.0  # of the soft cross-entropy; in dkd its own
    config.loss.gamma = 1.0  # exponent of the weights (gkl)
    # Of both softmaxes in kd, dkd and dkl, and in the soft cross-entropy of ikl and
    # gkl (distillation).
    config.loss.temperature = 4.0
    config.loss.weights = "class_means"  # class_means | sample (ikl and gkl)
    # Of the predictions in the class means, and in distillation of the sample's too.
    config.loss.weight_temperature = 4.0
    config.loss.class_means_momentum = 0.0  # share of the old means kept each epoch
    config.loss.label_smoothing = 0.0  # of the cross-entropy, over all classes
    config.loss.second_view_weight = 1.0  # of the second view, beside the first's 1

    config.teacher = section()  # distillation
    config.teacher.path = ""  # the workdir of a finished run | a file of train.convert
    config.teacher.dtype = "float32"  # float32 | bfloat16: of the computation in it
    # A folder for its logits of all training examples, computed if they are not there;
    # for data without augmentation. Empty: computed with each batch.
    config.teacher.cache = ""

    config.attack = section()
    config.attack.norm = "linf"  # linf | l2 | l1
    config.attack.epsilon = 8 / 255
    config.attack.steps = 10
    # Begin with so many, one more for each equal share of the epochs; 0: all at once.
    config.attack.first_steps = 0
    config.attack.relative_step_size = 0.25  # in epsilons
    # cross_entropy | kl | dkl | class_wise_dkl | ikl | gkl, the weights being those of
    # config.loss: TRADES is loss.name=kl with attack.loss=kl.
    config.attack.loss = "ikl"
    config.attack.alpha = 1.0
    config.attack.beta = 1.0
    config.attack.gamma = 1.0
    config.attack.start = "gaussian"  # gaussian | uniform | natural
    config.attack.start_scale = 0.001  # standard deviation of the gaussian start
    # Epsilon grows over this share of the epochs, epoch by epoch; 0: none
    config.attack.epsilon_ramp = 0.0

    config.awp = section()
    config.awp.gamma = 0.0  # relative size of the weight perturbation; 0: none
    config.awp.start_epoch = 0  # counted from 0
    config.awp.second_view_weight = 1.0  # of the second view in the loss for this
    config.awp.decay_perturbed = False  # weight decay at the perturbed weights

    config.batch_norm = section()
    config.batch_norm.attack = "running"  # running | batch statistics in the attack
    # Which passes of the step update the running statistics, in this order.
    config.batch_norm.updates = ("adversarial", "natural")

    config.averaging = section()
    config.averaging.every = "none"  # none | step | epoch
    config.averaging.decay = 0.995
    config.averaging.warmup = True  # decay at most (1 + n) / (10 + n), n-th update
    config.averaging.start_epoch = 0  # counted from 0; a plain copy before it
    config.averaging.batch_norm = "averaged"  # averaged | copied running statistics

    config.evaluation = section()
    config.evaluation.every = 1  # epochs; 0: at the end alone
    config.evaluation.batch_size = 256
    config.evaluation.steps = 20  # PGD on the cross-entropy, at attack.epsilon
    config.evaluation.relative_step_size = 0.25
    # Uniform starts; robust means robust to them all. 0: natural accuracy alone.
    config.evaluation.restarts = 1
    # Classes with fewer training examples than the first are few-shot, with more than
    # the second many-shot: their accuracies are told apart on a long-tailed part.
    config.evaluation.shots = (20, 100)
    config.evaluation.during_training = 1000  # examples used before the end
    reject(argument)
    return config


def shrink(config: Config) -> None:
    """One epoch in batches of 16, for a check in seconds on little data."""
    config.epochs = 1
    config.batch_size = 16
    config.log_every = 1
    config.evaluation.batch_size = 16


def section() -> Config:
    """An empty group of fields."""
    return ConfigDict()


def vary(config: Config, argument: str, variants: dict[str, Variant]) -> Config:
    """Applies the comma-separated options of a config's argument, in their order.

    Each is `name` or `name=value`; `variants` maps the names to functions that change
    the config, given the value ("" where there is none).
    """
    for option in filter(None, argument.split(",")):
        name, _, value = option.partition("=")
        if name not in variants:
            known = ", ".join(variants)
            raise ValueError(f"unknown config argument {name!r}; known: {known}")
        variants[name](config, value)
        config.name += f":{option}"
    return config


def choose(argument: str, **groups: Iterable[str]) -> dict[str, str]:
    """The option of each group that an argument has, the group's first if it has none.

    >>> choose("loss=gkl,quick", loss=("ikl", "gkl"), size=("full", "quick"))
    {'loss': 'gkl', 'size': 'quick'}
    """
    allowed = {name: list(options) for name, options in groups.items()}
    chosen: dict[str, str] = {}
    for given in filter(None, argument.split(",")):
        named, _, option = given.rpartition("=")
        among = [named] if named else allowed
        group = next((n for n in among if option in allowed.get(n, ())), None)
        if group is None:
            known = "; ".join(
                f"{name} {' | '.join(options)}" for name, options in allowed.items()
            )
            raise ValueError(f"unknown config argument {given!r}; known: {known}")
        if group in chosen:
            raise ValueError(
                f"a config takes one {group}, got {chosen[group]!r} and {option!r}"
            )
        chosen[group] = option
    return {name: chosen.get(name, options[0]) for name, options in allowed.items()}


def reject(argument: str) -> None:
    if argument:
        raise ValueError(f"this config takes no argument, got {argument!r}")
