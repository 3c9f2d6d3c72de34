"""The Square Attack's proposals in an l-infinity ball.

Reference: Andriushchenko et al., "Square Attack: a query-efficient black-box
adversarial attack via random search", https://arxiv.org/abs/1912.00049, 2020,
section 3.2 and algorithm 2.
"""

import jax.numpy as jnp

from ikl_jax.attacks.square import windows
from ikl_jax.types import Array, Scalar


class Signs:
    """Moves every coordinate by -epsilon or epsilon, or as far as the box allows."""

    def start_draws(self, shape: windows.Shape) -> int:
        return shape[1] * shape[2]

    def start(self, numbers: Array, x: Array, epsilon: Scalar) -> Array:
        """Vertical stripes: one sign for each column and channel."""
        stripes = windows.signs(numbers).reshape(len(x), 1, *x.shape[2:])
        return jnp.clip(x + epsilon * stripes, 0.0, 1.0)

    def draws(self, shape: windows.Shape) -> int:
        return 2 + shape[2]

    def propose(
        self,
        numbers: Array,
        x: Array,
        x_adv: Array,
        side: Array,
        epsilon: Scalar,
        places: windows.Places,
    ) -> Array:
        """Sets one sign for each channel in one window.

        The paper adds 2 epsilon of that sign and projects, which has the same result
        but accumulates rounding. As in the paper, a query may change nothing, because
        the window has the drawn signs already.
        """
        _, height, width, channels = x.shape
        top, left = (
            windows.corner(numbers[:, axis], length, side, places)
            for axis, length in enumerate((height, width))
        )
        _, rows = windows.within(top, side, height)
        _, columns = windows.within(left, side, width)
        sign = windows.signs(numbers[:, 2:]).reshape(-1, 1, 1, channels)
        changed = jnp.clip(x + epsilon * sign, 0.0, 1.0)
        return jnp.where(windows.mask(rows, columns), changed, x_adv)

    def side(self, side: int) -> int:
        return side
