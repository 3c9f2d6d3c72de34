"""What a model would compute and keep, found without computing it."""

import jax
import jax.numpy as jnp


def forward(model, size=16, channels=3):
    """Shapes and dtypes of the logits and of the variables, without computing."""
    x = jax.ShapeDtypeStruct((2, size, size, channels), jnp.float32)
    return jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x), x)


def residual_bytes(model, variables, x):
    """What the forward pass keeps for the gradient to the parameters."""

    def kept(variables, x):
        def loss(params):
            logits, _ = model.apply(
                {**variables, "params": params}, x, train=True, mutable=["batch_stats"]
            )
            return jnp.sum(logits)

        return jax.vjp(loss, variables["params"])[1]

    leaves = jax.tree.leaves(jax.eval_shape(kept, variables, x))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
