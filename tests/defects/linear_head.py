"""Defects of the losses of a linear head."""

from tests.defects.defect import Defect

HEAD = "ikl_jax/linear_head"
SUMS = "ikl_jax/divergences/weighted_sums.py"
OF_VALUES = ("tests/ikl_jax/linear_head/test_against_dense.py",)
OF_MASKS = ("tests/ikl_jax/linear_head/test_masks.py",)
OF_COST = ("tests/ikl_jax/linear_head/test_cost.py",)
OF_DTYPES = ("tests/ikl_jax/linear_head/test_dtypes.py",)
OF_ERRORS = ("tests/ikl_jax/linear_head/test_bad_input.py",)

DEFECTS = [
    Defect(
        "the last token counts once more for each position beyond it",
        HEAD,
        "padded = jnp.pad(x, (0, self.size * self.count - self.tokens))",
        "beyond = self.size * self.count - self.tokens\n"
        '        padded = jnp.pad(x, (0, beyond), mode="edge")',
        OF_VALUES,
    ),
    Defect(
        "the backward pass scales no gradient of the sum",
        HEAD,
        "scaled = [weighted_sums.times(gradient, cotangent) for gradient in gradients]",
        "scaled = list(gradients)",
        OF_VALUES,
    ),
    Defect(
        "a kernel's gradient is that of the last chunk",
        HEAD,
        "else total + gradient.astype(total.dtype)",
        "else gradient.astype(total.dtype)",
        OF_VALUES,
    ),
    Defect(
        "kernels that nobody trains have gradients",
        HEAD,
        "gradients += [head.by_kernel(by_product)] if kernel else []",
        "by_kernel = head.by_kernel(by_product)\n"
        "        gradients += [by_kernel] if kernel else []",
        OF_COST,
    ),
    Defect(
        "the rest of the student's vocabulary does not count if the target leaves it out",
        HEAD,
        "return jnp.concatenate([picked, rest[:, None]], axis=1)",
        "rest = rest if self.with_rest else rest - jnp.inf\n"
        "        return jnp.concatenate([picked, rest[:, None]], axis=1)",
        OF_VALUES,
    ),
    Defect(
        "the rest is formed at temperature 1 where the target leaves it out",
        HEAD,
        "if self.with_rest or temperature is None:",
        "if True:",
        OF_VALUES,
    ),
    Defect(
        "hidden states of tokens that are left out are multiplied as they are",
        HEAD,
        "keep = (is_live | is_ordinary)[:, None]",
        "keep = (is_live | is_ordinary | True)[:, None]",
        OF_MASKS,
    ),
    Defect(
        "of several masks one is enough",
        HEAD,
        "found = mask if found is None else found & mask",
        "found = mask if found is None else found | mask",
        OF_MASKS,
    ),
    Defect(
        "the last group's weights stand for those of a group that there is not",
        HEAD,
        "groups = jnp.where(groups < 0, len(table), groups)",
        "groups = jnp.where(groups < -1, len(table), groups)",
        OF_ERRORS,
    ),
    Defect(
        "arrays that Explicit axes divide are not refused",
        HEAD,
        "axis for axis in sharding.mesh.explicit_axes if axis in named",
        "axis for axis in sharding.mesh.explicit_axes if axis not in named",
        ("tests/ikl_jax/linear_head/test_devices.py",),
    ),
    Defect(
        "the logits of all chunks have one dimension more",
        HEAD,
        "if n.shape[0] == n.shape[1]:",
        "if n.shape[0] != -1:",
        OF_COST,
    ),
    Defect(
        "a value for each token may be one for each class",
        HEAD,
        "if n.shape[0] == n.shape[1]:",
        "if n.shape[0] == -1:",
        OF_VALUES,
    ),
    Defect(
        "a soft cap bounds the target by the square of what is given",
        HEAD,
        "x = cap * jnp.tanh(x / cap)",
        "x = cap * cap * jnp.tanh(x / cap)",
        OF_VALUES,
    ),
    Defect(
        "hidden states of tokens that are left out may have infinite products",
        HEAD,
        "is_ordinary = jnp.all(size < LARGE, axis=1)",
        "is_ordinary = jnp.all(jnp.isfinite(size), axis=1)",
        OF_MASKS,
    ),
    Defect(
        "what multiplies a sum is rounded to the dtype of the gradients",
        SUMS,
        "dtype = wider(gradient.dtype, cotangent.dtype)",
        "dtype = gradient.dtype",
        OF_DTYPES,
    ),
    Defect(
        "gradients of rows are kept in float16 before a loss scale multiplies them",
        SUMS,
        "return given if has_range_of_float32(given) else of_losses",
        "return given",
        OF_DTYPES,
    ),
    Defect(
        "the gradients of logits are multiplied in float16",
        HEAD,
        "return dtype if has_range_of_float32(dtype) else self.sum_dtype",
        "return dtype",
        OF_DTYPES,
    ),
]
