"""The losses straight from a linear head: the logits of all tokens are never formed.

A language model of T = 8,192 tokens and V = 152,000 entries of the vocabulary has 5 GB
of float32 logits, and a loss of a student and a teacher with its gradients holds
several such arrays. The losses here take the hidden states and the kernels instead of
logits, and compute one chunk of tokens at a time. Values and gradients are those of the
losses of the same name in `ikl_jax`, of `Head`'s logits in float32, to rounding.

    student = linear_head.Head(hidden, kernel)         # [T, H], [H, V]
    teacher = jax.lax.stop_gradient(linear_head.Head(teacher_hidden, teacher_kernel))
    losses = linear_head.ikl_loss(student, teacher)    # [T]
    total = linear_head.ikl_loss(student, teacher, example_weights=keep / keep.sum())

**Targets** are another head, of any width; logits `[T, V]`; or cached top-k logits,
whose rest is left out (`TopK`) or is one more class (`TopKWithRest`).

**A loss for each token** computes the products of hidden states and kernels twice, in
the forward and in the backward pass: for each head one product more than the dense
form. **A sum**, with `example_weights` `[T]`, forms the gradients in the forward pass
and needs no product more. A weight of zero leaves a token out of the sum, whatever the
token holds. Arrays that are stopped cost nothing: for a frozen teacher, stop its head.

**Memory.** About three arrays of `chunk_size` times V floats, and the gradients.
`chunk_size=None` takes as many tokens as 640 MiB of such floats hold, so memory does
not grow with V, and rounds that to a part of the tokens where it can. Each chunk reads
the kernel and adds to its gradient, so a chunk of less than about 1,000 tokens is
slower. A size that does not divide the tokens repeats the last token and ignores it.

**Masks.** `where` is boolean and broadcasts to `[T, V]`, as in `ikl_jax.divergences`,
or it is a tuple of such masks, all of which must hold: `(is_token, keep[:, None])`
leaves out padding of the vocabulary `[V]` and tokens, without an array of `[T, V]`.

**Dtypes.** Products are computed in the dtype of hidden states and kernel and summed in
float32. All else is float32, as the losses are, and each gradient has the dtype of its
array; a kernel's is added up in float32. (For float64, all is float64.) So bfloat16
costs a loss nothing, and moves an entry of a gradient by at most 2^-7 of the sum of the
absolute products that it is a sum of. With float16, the products of gradients are in
float32, and a loss scale may multiply the result or the example weights.

**Devices.** Under `jit`, divide the tokens over one axis of a mesh and the vocabulary,
the kernel's columns, over another: what moves for a loss is a few numbers for each
token. `chunk_size` counts the tokens of all devices, and should be a multiple of their
number. Under `shard_map` over the axis of the tokens, it counts those of one device,
and the kernel's gradient is summed over devices once.

Reverse mode works, once; gradients of gradients and forward mode are for the dense
losses.
"""

from ikl_jax.linear_head.decoupled import dkl_loss, gkl_loss, ikl_loss
from ikl_jax.linear_head.heads import Grouped, Head, TopK, TopKWithRest
from ikl_jax.linear_head.losses import kd_loss, kl_divergence, soft_cross_entropy

__all__ = [
    "Grouped",
    "Head",
    "TopK",
    "TopKWithRest",
    "dkl_loss",
    "gkl_loss",
    "ikl_loss",
    "kd_loss",
    "kl_divergence",
    "soft_cross_entropy",
]
