"""Defects of the architectures and of their weights from torch."""

from tests.defects.defect import Defect

MODELS = "ikl_jax/models"
OF_MODELS = ("tests/ikl_jax/models",)
PUBLISHED = ("tests/ikl_jax/models/test_torch_weights.py",)
VISION = ("tests/ikl_jax/models/test_vision_transformer.py",)

DEFECTS = [
    Defect(
        "BatchNorm keeps the biased variance, as Flax's own layer does",
        MODELS,
        "unbiased = batch_var[0] * (count / max(count - 1, 1))",
        "unbiased = batch_var[0]",
        OF_MODELS,
    ),
    Defect(
        "BatchNorm's momentum is the share of the old statistics",
        MODELS,
        "mean.value += self.momentum * (batch_mean[0] - mean.value)",
        "mean.value += (1 - self.momentum) * (batch_mean[0] - mean.value)",
        OF_MODELS,
    ),
    Defect(
        "BatchNorm keeps the last group's statistics, not the first's",
        MODELS,
        "(batch_mean[0] - mean.value)",
        "(batch_mean[-1] - mean.value)",
        OF_MODELS,
    ),
    Defect(
        "BatchNorm uses the batch's statistics in evaluation",
        MODELS,
        "        if not train:\n            return self._affine",
        "        if not train and self.is_initializing():\n            return self._affine",
        OF_MODELS,
    ),
    Defect(
        "BatchNorm of a bfloat16 network has its statistics in bfloat16",
        MODELS,
        "exact = grouped.astype(jnp.promote_types(x.dtype, jnp.float32))",
        "exact = grouped",
        OF_MODELS,
    ),
    Defect(
        "strided convolutions are padded on one side, as SAME would",
        MODELS,
        "padding=size // 2 if padding is None else padding,",
        'padding="SAME" if padding is None else padding,',
        OF_MODELS,
    ),
    Defect(
        "wide residual shortcuts start from the input before its activation",
        MODELS,
        "                activated, self.features, 1, stride=self.stride",
        "                x, self.features, 1, stride=self.stride",
        OF_MODELS,
    ),
    Defect(
        "inputs are normalised by the deviation alone",
        MODELS,
        "return ((x - mean) / deviation).astype(self.dtype)",
        "return (x / deviation).astype(self.dtype)",
        OF_MODELS,
    ),
    Defect(
        "torch's kernels come with rows and columns swapped",
        MODELS,
        "_TO_FLAX = {1: (0,), 2: (1, 0), 3: (0, 1, 2), 4: (2, 3, 1, 0)}",
        "_TO_FLAX = {1: (0,), 2: (1, 0), 3: (0, 1, 2), 4: (3, 2, 1, 0)}",
        OF_MODELS,
    ),
    Defect(
        "channels are shuffled back instead of out",
        MODELS,
        "parts = x.reshape(*x.shape[:-1], groups, -1)",
        "parts = x.reshape(*x.shape[:-1], -1, groups)",
        OF_MODELS,
    ),
    Defect(
        "the classifier of a bfloat16 network computes in bfloat16",
        f"{MODELS}/layers.py",
        "dtype = jnp.promote_types(self.dtype, jnp.float32)",
        "dtype = self.dtype",
        OF_MODELS,
    ),
    Defect(
        "pre-activation shortcuts start from the input before its activation",
        f"{MODELS}/preact_resnet.py",
        "return self.conv(activated, features, 1,",
        "return self.conv(x, features, 1,",
        PUBLISHED,
    ),
    Defect(
        "weights with BatchNorm at the end are taken for those without it",
        f"{MODELS}/preact_resnet.py",
        'torch_names_of_others: ClassVar[tuple[str, ...]] = ("bn",)',
        "torch_names_of_others: ClassVar[tuple[str, ...]] = ()",
        ("tests/train/doors/test_convert_other_sizes.py",),
    ),
    Defect(
        "positions are interpolated without antialiasing",
        MODELS,
        '(side, side, features), "cubic"',
        '(side, side, features), "cubic", False',
        VISION,
    ),
    Defect(
        "a transformer's GELU is the approximate one",
        MODELS,
        "nn.gelu(hidden, approximate=False)",
        "nn.gelu(hidden, approximate=True)",
        PUBLISHED,
    ),
    Defect(
        "query, key and value of all heads are taken head by head",
        MODELS,
        "joint = joint.reshape(batch, tokens, 3, self.heads, features // self.heads)",
        "joint = joint.reshape(batch, tokens, self.heads, 3, -1).swapaxes(2, 3)",
        PUBLISHED,
    ),
    Defect(
        "stochastic depth does not scale what stays",
        MODELS,
        "return jnp.where(draws < stay, 1 / stay, 0.0)",
        "return jnp.where(draws < stay, 1.0, 0.0)",
        VISION,
    ),
    Defect(
        "stochastic depth draws in evaluation, too",
        MODELS,
        "if train and self.drop_path and not self.is_initializing():",
        "if keys is not None or self.drop_path and not self.is_initializing():",
        VISION,
    ),
    Defect(
        "stochastic depth is the same in all blocks",
        MODELS,
        "jnp.linspace(0.0, self.drop_path, self.depth)",
        "jnp.full(self.depth, self.drop_path)",
        VISION,
    ),
    Defect(
        "all examples draw what the first one draws",
        MODELS,
        "jax.random.uniform(key, shape))(keys)",
        "jax.random.uniform(key, shape))(keys[:1])",
        VISION,
    ),
]
