"""Defects of the losses, the class means, weight perturbation and the proof."""

from tests.defects.defect import Defect

DIVERGENCES = "ikl_jax/divergences"
OF_DIVERGENCES = ("tests/ikl_jax/divergences", "tests/ikl_jax/test_golden.py")
OF_MASKS = (
    "tests/ikl_jax/divergences/test_against_float64.py",
    "tests/ikl_jax/divergences/test_masks.py",
)
DISTILLATION = "ikl_jax/distillation.py"
CLASS_MEANS = "ikl_jax/class_means.py"
OF_CLASS_MEANS = ("tests/ikl_jax/test_class_means.py",)
AWP = "ikl_jax/awp.py"
OF_AWP = ("tests/ikl_jax/test_awp.py",)

DEFECTS = [
    Defect(
        "DKL's squared error reaches the prediction",
        DIVERGENCES,
        "stopped_n, m = jax.lax.stop_gradient(inputs.n), inputs.m",
        "stopped_n, m = inputs.n, inputs.m",
        OF_DIVERGENCES,
    ),
    Defect(
        "IKL's squared error stops the prediction, as DKL's does",
        DIVERGENCES,
        "        w = inputs.as_given(inputs.weights(weights, where))\n"
        "    squared_error = weighted_variance(inputs.n, inputs.m, *w)\n",
        "        w = inputs.as_given(inputs.weights(weights, where))\n"
        "    n = jax.lax.stop_gradient(inputs.n)\n"
        "    squared_error = weighted_variance(n, inputs.m, *w)\n",
        OF_DIVERGENCES,
    ),
    Defect(
        "DKL takes alpha for beta and beta for alpha, as the authors' code has them",
        DIVERGENCES,
        "return _weighted_sum(inputs, alpha, squared_error, beta, 1.0, None)",
        "return _weighted_sum(inputs, beta, squared_error, alpha, 1.0, None)",
        OF_DIVERGENCES,
    ),
    Defect(
        "the squared error's gradients have the wrong signs",
        DIVERGENCES,
        "derivatives = (lambda: -gradient(), gradient, None, None, None)",
        "derivatives = (gradient, lambda: -gradient(), None, None, None)",
        OF_DIVERGENCES,
    ),
    Defect(
        "the factor of unnormalised weights enters the squared error once",
        DIVERGENCES,
        "scale = jnp.square(factor)[..., None] * total",
        "scale = factor[..., None] * total",
        OF_DIVERGENCES,
    ),
    Defect(
        "GKL divides by the square of the mean instead of the mean of the squares",
        DIVERGENCES,
        "    return largest + jnp.log(or_one(mean))",
        "    mean = jnp.square(jnp.sum(jnp.exp((logarithms - largest) / 2)) / count)\n"
        "    return largest + jnp.log(or_one(mean))",
        OF_DIVERGENCES,
    ),
    Defect(
        "bfloat16 logits are computed with in bfloat16",
        DIVERGENCES,
        "dtype = compute_dtype(n.dtype)",
        "dtype = n.dtype",
        OF_DIVERGENCES,
    ),
    Defect(
        "the target of the soft cross-entropy ignores its own temperature",
        DIVERGENCES,
        "closed_form.cross_entropy(inputs.n, inputs.m, inverse, target_inverse)",
        "closed_form.cross_entropy(inputs.n, inputs.m, inverse, inverse)",
        OF_DIVERGENCES,
    ),
    Defect(
        "the rounding of the weighted mean stays in the squared error's gradient",
        DIVERGENCES,
        "jnp.where(is_infinite, 0.0, centred - residue)",
        "jnp.where(is_infinite, 0.0, centred)",
        OF_DIVERGENCES,
    ),
    Defect(
        "NaN of an example that is left out reaches its gradients",
        DIVERGENCES,
        "    derivative = jnp.where(is_nan[..., None], 1.0, derivative)\n",
        "",
        OF_MASKS,
    ),
    Defect(
        "minus infinity without probability makes the soft cross-entropy NaN",
        DIVERGENCES,
        "below_top = zero_without(unnormalised_p, (n - top_n) * s)",
        "below_top = (n - top_n) * s",
        OF_MASKS,
    ),
    Defect(
        "a target far from the prediction rounds the prediction away in KL",
        DIVERGENCES,
        "is_far = jnp.abs(top_n - top_m) > FAR",
        "is_far = jnp.zeros_like(top_n, bool)",
        OF_MASKS,
    ),
    Defect(
        "a masked class keeps its weight in the squared error's mean",
        DIVERGENCES,
        "kept = jnp.where(is_masked, 0.0, w)",
        "kept = w",
        OF_MASKS,
    ),
    Defect(
        "GKL's normaliser counts examples that are left out",
        DIVERGENCES,
        "takes_part = jnp.isfinite(total) & ~jnp.all(inputs.is_masked, axis=-1)",
        "takes_part = jnp.isfinite(total)",
        OF_MASKS,
    ),
    Defect(
        "KD has the temperature as a factor, not its square",
        DISTILLATION,
        "scaled(1 / jnp.square(inverse), divergence, temperature)",
        "scaled(1 / inverse, divergence, temperature)",
        OF_DIVERGENCES,
    ),
    Defect(
        "DKD's weights of its two terms are swapped",
        DISTILLATION,
        "scaled(a, target_term, alpha) + scaled(b, other_term, beta)",
        "scaled(b, target_term, alpha) + scaled(a, other_term, beta)",
        OF_DIVERGENCES,
    ),
    Defect(
        "class means ignore their temperature",
        CLASS_MEANS,
        "jax.nn.softmax(logits / temperatures[:, None])",
        "jax.nn.softmax(logits)",
        OF_CLASS_MEANS,
    ),
    Defect(
        "class means are normalised over the wrong axis",
        CLASS_MEANS,
        "jnp.sum(self.total, axis=1, keepdims=True)",
        "jnp.sum(self.total, axis=0, keepdims=True)",
        OF_CLASS_MEANS,
    ),
    Defect(
        "the momentum of class means is the share of the new mean",
        CLASS_MEANS,
        "momentum * self.mean + (1 - momentum) * observed",
        "(1 - momentum) * self.mean + momentum * observed",
        OF_CLASS_MEANS,
    ),
    Defect(
        "a class without examples loses its row of the class means",
        CLASS_MEANS,
        "mean=jnp.where(seen, mixed, self.mean)",
        "mean=mixed",
        OF_CLASS_MEANS,
    ),
    Defect(
        "class means count the examples that are masked out",
        CLASS_MEANS,
        "counts = labels >= 0 if where is None else where & (labels >= 0)",
        "counts = labels >= 0",
        OF_CLASS_MEANS,
    ),
    Defect(
        "weight perturbation goes down the gradient",
        AWP,
        "(leaf.astype(dtype) + step)",
        "(leaf.astype(dtype) - step)",
        OF_AWP,
    ),
    Defect(
        "weight perturbation moves biases as well",
        AWP,
        "default=len(axes) >= 2)",
        "default=len(axes) >= 1)",
        OF_AWP,
    ),
    Defect(
        "weight perturbation takes one norm for all stacked layers",
        AWP,
        "axes = tuple(axis for axis in range(leaf.ndim) if axis not in layers)",
        "axes = tuple(range(leaf.ndim))",
        OF_AWP,
    ),
    Defect(
        "weight perturbation of bfloat16 weights returns float32",
        AWP,
        "(leaf.astype(dtype) + step).astype(leaf.dtype)",
        "(leaf.astype(dtype) + step)",
        OF_AWP,
    ),
    Defect(
        "the proof compares KL with itself",
        "ikl_jax/verify/__init__.py",
        "jax.grad(lambda n, m: dkl_loss(n, m).sum(), (0, 1))",
        "jax.grad(lambda n, m: _kl_by_definition(n, m).sum(), (0, 1))",
        ("tests/ikl_jax/test_verify.py",),
    ),
]
