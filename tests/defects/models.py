"""Defects of the architectures and of their weights from torch."""

from tests.defects.defect import Defect

MODELS = "ikl_jax/models"
OF_MODELS = ("tests/ikl_jax/models",)

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
        "_TO_FLAX = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}",
        "_TO_FLAX = {1: (0,), 2: (1, 0), 4: (3, 2, 1, 0)}",
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
        MODELS,
        "dtype = jnp.promote_types(self.dtype, jnp.float32)",
        "dtype = self.dtype",
        OF_MODELS,
    ),
]
