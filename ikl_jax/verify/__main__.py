"""Compares the gradients of DKL and KL for many shapes; see `ikl_jax.verify`."""

import itertools
import sys

import jax
import jax.numpy as jnp

from ikl_jax.verify import gradient_equivalence

SHAPES = ((10,), (8, 10), (4, 1000), (2, 3, 100), (2, 32000))
SCALES = (0.1, 1.0, 30.0, 1e4)
DTYPES = ("float64", "float32", "bfloat16")


def tolerance(dtype: str, scale: float) -> float:
    """The deviation that the rounding of the result and of the logits explains."""
    computed_in = jnp.promote_types(dtype, jnp.float32)
    rounding_of_result = float(jnp.finfo(dtype).eps)
    rounding_of_logits = float(jnp.finfo(computed_in).eps) * max(1.0, scale)
    return rounding_of_result + 16 * rounding_of_logits


def main() -> int:
    """Prints a row per case; returns 0 if all are within tolerance, else 1."""
    failures = 0
    print("largest deviation of grad(DKL) from grad(KL), on both inputs")
    header = ("dtype", "scale", "shape", "logits", "target", "tolerance")
    print("{:>9} {:>7} {:>13} {:>9} {:>9} {:>9}".format(*header))
    with jax.enable_x64(True):
        for dtype, scale, shape in itertools.product(DTYPES, SCALES, SHAPES):
            deviation = gradient_equivalence(shape, scale=scale, dtype=dtype)
            limit = tolerance(dtype, scale)
            within = all(value <= limit for value in deviation)  # False for NaN
            failures += not within
            print(
                f"{dtype:>9} {scale:>7g} {shape!s:>13} {deviation.logits:9.1e} "
                f"{deviation.target_logits:9.1e} {limit:9.1e} "
                f"{'' if within else ' ABOVE TOLERANCE'}".rstrip()
            )
    print(f"{failures} above tolerance" if failures else "all within tolerance")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
