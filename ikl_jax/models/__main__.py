"""Lists the architectures: `python -m ikl_jax.models`."""

import jax
import jax.numpy as jnp

from ikl_jax.models.registry import FAMILIES, create


def parameter_count(
    name: str, input_shape: tuple[int, int, int], num_classes: int
) -> int:
    """The number of trained parameters, without BatchNorm's statistics."""
    model = create(name, num_classes)
    images = jax.ShapeDtypeStruct((1, *input_shape), jnp.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def main() -> None:
    print(f"{'name':24} {'parameters':>12} {'input':>13} {'classes':>8}")
    for family in FAMILIES:
        size = " x ".join(map(str, family.input))
        for name in family.examples:
            count = parameter_count(name, family.input, family.classes)
            print(f"{name:24} {count:12,} {size:>13} {family.classes:8,}", flush=True)
    print(
        "wide_resnet_D_W, wide_resnet_swish_D_W and cifar_wrn_D_W take any depth D of"
    )
    print(
        "the form 6 n + 4 and any width W. Other image sizes, numbers of channels and"
    )
    print("numbers of classes are possible. vit_patchP_DEPTH_WIDTH takes any patch of")
    print("P x P pixels, depth and width.")


if __name__ == "__main__":
    main()
