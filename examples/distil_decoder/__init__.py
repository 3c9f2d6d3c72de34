"""A small decoder distilled to a smaller one, through `ikl_jax.linear_head`."""
