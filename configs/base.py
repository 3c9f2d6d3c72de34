"""All fields of a config, with the defaults that other configs start from.

A config holds only numbers and names; `train/` builds what they describe.
Epsilons and step sizes are in pixels of [0, 1].
"""

from typing import Any

from ml_collections import ConfigDict

from configs import arguments, continual, unlabelled

Config = Any  # a ConfigDict, whose fields no checker knows


def get_config(argument: str = "") -> Config:
    config = section()
    config.name = "base"
    # adversarial | distillation | fixmatch | mean_teacher | supervised
    config.recipe = "adversarial"
    config.seed = 0
    config.epochs = 30
    # 0: one pass over the training part. A longer epoch continues with the next pass.
    config.steps_per_epoch = 0
    config.batch_size = 64  # over all devices
    config.accumulate = 1  # parts of a batch, computed one by one; docs/pods.md
    config.mesh = (-1, 1)  # devices as (data, model); -1: all the others
    config.fsdp = False  # divide large leaves of the state over `data`
    config.log_every = 10  # steps between lines of metrics.jsonl
    config.checkpoint_every = 1  # epochs
    config.keep_checkpoints = 2

    config.model = section()
    config.model.name = "cnn"  # or another that python -m ikl_jax.models lists
    # Weights to start from: a file of train.convert | the workdir of a finished run.
    # Empty: they are drawn at random. docs/models.md
    config.model.initial_weights = ""
    # BatchNorm divides the batch into this many groups and normalises each by its own
    # statistics, as on as many GPUs. The first group updates the running statistics.
    config.model.bn_groups = 1
    config.model.bn_momentum = 0.1  # weight of the batch in the running statistics
    # The number of columns of the classifier and the class means is rounded up to a
    # multiple of this, so that the mesh's `model` axis can divide them.
    config.model.classes_multiple_of = 1
    config.model.dtype = "float32"  # float32 | bfloat16, of the computation
    # Stochastic depth of a vision transformer: how often the last block's parts are
    # left out in training. -1: as the architecture has it, 0.2 in vit_small_patch2_32
    # and 0 in the others.
    config.model.drop_path = -1.0
    # Means and deviations of the channels, applied in the model. Empty: as the
    # architecture has it; only wide_resnet_swish normalises then.
    config.model.normalize = ()
    config.model.remat = False  # recompute the activations of each block

    config.data = section()
    config.data.source = "digits"  # what else there is: docs/data.md
    config.data.data_dir = ""  # where TFDS keeps its data sets; empty: its default
    config.data.train_split = "train"  # names within a tfds source or a folder
    config.data.test_split = "test"
    # A file that lists the examples to train on; docs/data.md. Empty: all.
    config.data.train_list = ""
    config.data.validation_size = 0  # examples held out of the training part
    # Ratio of the most to the least frequent class of the training part; 1: unchanged.
    config.data.imbalance_ratio = 1.0
    config.data.evaluate_on = "test"  # test | validation
    # Labelled training examples, as many of each class; the others are unlabelled, for
    # the semi-supervised recipes. 0: all are labelled. docs/semi_supervised.md
    config.data.num_labels = 0
    config.data.label_seed = 0  # decides which ones; the run's seed does not
    # A file that lists the labelled examples, as data.train_list does. Empty: none.
    config.data.label_list = ""
    config.data.unlabelled = "all"  # all training examples | others (not labelled)
    # How many classes there are, if not all of them have examples; 0: as many as the
    # labels, the class folders or the source's own description show.
    config.data.num_classes = 0
    # Side of the squares that encoded images of any size are cut and resized to, in
    # pixels; 0: all images have one size already.
    config.data.image_size = 0
    config.data.resize_shorter = 256  # pixels of the shorter side around the centre
    config.data.random_resized_crop = False  # train on random parts, not the centre
    config.data.exif_rotation = False  # turn images as their EXIF data asks for
    config.data.undecodable = "error"  # error | skip (use the next image)
    config.data.crop_padding = 0  # pixels of padding for random crops; 0: none
    config.data.crop_fill = "black"  # black | reflect, of the padding
    config.data.flip = False  # mirror half of the images
    # A second view of each image, with its own crop and mirroring, for adversarial
    # training: none | plain | auto_augment | rand_augment | uniform_rand_augment
    config.data.second_view = "none"
    config.data.second_view_cutout = 0  # side of a black square; 0: none
    config.data.drop_remainder = True  # leave out an epoch's last, smaller batch
    # A folder written by train.convert_synthetic, whose images are mixed into the
    # batches; docs/data.md. Empty: none.
    config.data.synthetic = ""
    # round(this * batch_size) rows of every batch are synthetic, the others real.
    config.data.synthetic_ratio = 0.7
    config.data.threads = 2  # read ahead; as many others decode

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
    # sgd and lars add it to the gradient; the others take it off the weights, times the
    # rate. The trust ratio of lars and lamb scales it too.
    config.optimizer.weight_decay = 5e-4
    # The authors decay everything; False spares biases and BatchNorm.
    config.optimizer.decay_vectors = False
    # constant | cosine (to zero, changes with each step) | cosine_7_16 (FixMatch's) |
    # step (times decay_factor after each milestone) | one_cycle (torch's) | and
    # constant within an epoch: one_cycle_per_epoch, cosine_per_epoch,
    # cosine_from_peak_per_epoch; docs/configs.md
    config.optimizer.schedule = "cosine"
    config.optimizer.milestones = (0.5, 0.75)  # of step, in shares of the epochs
    config.optimizer.decay_factor = 0.1
    # Share of the steps in which the rate rises, for cosine, cosine_7_16,
    # cosine_per_epoch and the one-cycles, which take 0.3 if this is 0.
    config.optimizer.warmup = 0.0

    # adversarial: cross-entropy(natural) + strength * divergence(adversarial, natural)
    # distillation: cross_entropy * cross-entropy(student) + strength *
    # divergence(student, teacher)
    config.loss = section()
    # kl (TRADES) | dkl | class_wise_dkl | ikl | gkl | kd | dkd, in either recipe
    config.loss.name = "ikl"
    config.loss.cross_entropy = 1.0  # weight of the cross-entropy, in distillation
    config.loss.strength = 1.0
    # In distillation, strength * min(1, epoch / this); 0: all of it from the start.
    config.loss.warmup_epochs = 0
    # Weights of the squared error and of the soft cross-entropy; in dkd, of the label's
    # class and of the other classes.
    config.loss.alpha = 20.0
    config.loss.beta = 4.0
    config.loss.gamma = 1.0  # exponent of the weights, in gkl
    # Of both softmaxes; in ikl and gkl, of those in the soft cross-entropy. Only
    # distillation reads it: in adversarial training the temperature is 1.
    config.loss.temperature = 4.0
    config.loss.weights = "class_means"  # class_means | sample, in ikl and gkl
    # Of the predictions whose means are the class means; in distillation also of the
    # sample's own weights.
    config.loss.weight_temperature = 4.0
    config.loss.class_means_momentum = 0.0  # share of the old means kept each epoch
    config.loss.label_smoothing = 0.0  # of the cross-entropy, over all classes
    config.loss.second_view_weight = 1.0  # weight of the second view; the first has 1

    config.unlabelled = unlabelled.section()  # of fixmatch and mean_teacher
    config.continual = continual.section()  # of sequences of tasks

    config.teacher = section()  # of distillation
    config.teacher.path = ""  # the workdir of a finished run | a file of train.convert
    config.teacher.dtype = "float32"  # float32 | bfloat16, of the computation
    # A folder that keeps the teacher's logits of all training examples, for data
    # without augmentation. Empty: they are computed with each batch.
    config.teacher.cache = ""

    config.attack = section()
    config.attack.norm = "linf"  # linf | l2 | l1
    config.attack.epsilon = 8 / 255
    config.attack.steps = 10
    # PGD steps in the first epochs; grows to `steps` by one in equal shares of the
    # training. 0: `steps` from the start.
    config.attack.first_steps = 0
    config.attack.relative_step_size = 0.25  # in epsilons
    # What the attack increases: cross_entropy, or any divergence that loss.name
    # accepts, with the weights of config.loss. TRADES is loss.name=kl with
    # attack.loss=kl.
    config.attack.loss = "ikl"
    config.attack.alpha = 1.0
    config.attack.beta = 1.0
    config.attack.gamma = 1.0
    config.attack.start = "gaussian"  # gaussian | uniform | natural
    config.attack.start_scale = 0.001  # standard deviation of the gaussian start
    # Share of the epochs over which epsilon grows, epoch by epoch. 0: it is constant.
    config.attack.epsilon_ramp = 0.0

    config.awp = section()
    config.awp.gamma = 0.0  # relative size of the weight perturbation; 0: none
    config.awp.start_epoch = 0  # counted from 0
    config.awp.second_view_weight = 1.0  # of the second view in its loss
    config.awp.decay_perturbed = False  # take weight decay at the perturbed weights

    config.batch_norm = section()
    config.batch_norm.attack = "running"  # running | batch statistics in the attack
    # Which passes of the step update the running statistics, in this order.
    config.batch_norm.updates = ("adversarial", "natural")

    config.averaging = section()
    config.averaging.every = "none"  # none | step | epoch
    config.averaging.decay = 0.995
    config.averaging.warmup = True  # decay of update n at most (1 + n) / (10 + n)
    config.averaging.start_epoch = 0  # counted from 0; before it, a plain copy
    config.averaging.batch_norm = "averaged"  # averaged | copied running statistics

    config.evaluation = section()
    config.evaluation.every = 1  # epochs; 0: only at the end
    config.evaluation.batch_size = 256
    config.evaluation.steps = 20  # PGD on the cross-entropy, at attack.epsilon
    config.evaluation.relative_step_size = 0.25
    # Uniform starts of the attack, of which an example must resist all to count as
    # robust. 0: no attack, natural accuracy alone.
    config.evaluation.restarts = 1
    # Classes with fewer training examples than the first number are few-shot, those
    # with more than the second many-shot. On a long-tailed training part, each kind has
    # an accuracy of its own.
    config.evaluation.shots = (20, 100)
    config.evaluation.during_training = 1000  # examples, before the end
    arguments.reject(argument)
    return config


def shrink(config: Config) -> None:
    """One epoch in batches of 16, for a check in seconds on little data."""
    config.epochs = 1
    config.batch_size = 16
    config.log_every = 1
    config.evaluation.batch_size = 16


def section() -> Config:
    """An empty section, to be filled with fields."""
    return ConfigDict()
