"""The losses on logits of a large vocabulary, in one pass over them, by Pallas kernels.

XLA computes a loss and its gradients in several passes over the logits and writes
arrays between them. A kernel reads a block of rows into a chip's fast memory, computes
everything there, and writes the gradients. Its formulas are those of
`ikl_jax.divergences`: the same functions run inside the kernel. So values, gradients,
masks, and what becomes of infinities and NaN are the same, to rounding.

    losses = kernels.ikl_loss(logits, target_logits)                       # [...]
    total = kernels.ikl_loss(logits, target_logits, example_weights=each)  # scalar

The arguments are those of the losses of the same name in `ikl_jax`. Weights may have
the shape `[C]`, too, and are then read once. What is stopped gets no gradient written.

**Passes.** Losses one by one read the logits once in the forward pass and once in the
backward pass, where the cotangent is known; the gradients are written once, and nothing
is kept between. A sum, with `example_weights`, forms the gradients in the forward pass:
one read, one write. GKL without its normalizer reads the target once more.

Short rows are computed whole. Longer ones are cut into blocks of classes, and two to
five passes go over them, because a sum over the classes may need the result of another
one. On a TPU, the passes go over fast memory as long as whole rows of the arguments fit
there; longer rows are read again in each pass. The guide to performance has the
numbers.

**Forms.** The argument `form` says what computes the rows:

- None, which is `Chosen()`: the kernel where the program is compiled for a TPU and the
  logits have 4,096 classes or more; XLA elsewhere. The platform is the one that is
  compiled for, so a program that is exported from a CPU for a TPU has the kernel.
- `Mosaic()`: the kernel for TPUs, or an error. Its arguments say how much fast memory a
  block may take. `Mosaic(interpret=True)` runs it on any platform, slowly, for tests.
- `Triton()`: the kernel for NVIDIA's GPUs, or an error. Its rows always go in blocks of
  classes. `Chosen(triton=Triton())` takes it on GPUs; by itself it is not chosen,
  because it was never measured, and JAX 0.12 warns that it will drop this backend.
- `Xla()`: XLA's form, as in `ikl_jax`, on every platform.

A kernel takes float32 and bfloat16, `Triton()` float16, too, and computes in float32.

**Devices.** The compiler does not divide a kernel: under `jit` it would gather logits
that are divided over devices. So call these losses under `jax.shard_map`, with whole
rows on each device, and nothing moves. For logits whose classes are divided, take the
losses of `ikl_jax`, which the compiler divides. For the same reason the losses of
`ikl_jax` never use a kernel by themselves.

Reverse mode works, once; gradients of gradients and forward mode are for the losses of
`ikl_jax`. `jax.export` takes a program with a kernel for one platform at a time.
"""

from ikl_jax.kernels.chosen import Chosen
from ikl_jax.kernels.decoupled import dkl_loss, gkl_loss, ikl_loss
from ikl_jax.kernels.forms import Form, Xla
from ikl_jax.kernels.losses import kd_loss, kl_divergence, soft_cross_entropy
from ikl_jax.kernels.mosaic import Mosaic
from ikl_jax.kernels.triton import Triton

__all__ = [
    "Chosen",
    "Form",
    "Mosaic",
    "Triton",
    "Xla",
    "dkl_loss",
    "gkl_loss",
    "ikl_loss",
    "kd_loss",
    "kl_divergence",
    "soft_cross_entropy",
]
