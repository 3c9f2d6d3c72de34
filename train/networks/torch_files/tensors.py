"""torch's tensors as a pickle describes them: views of storages that are read late."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

# torch.X or torch.cuda.X: the dtype of its elements.
STORAGES: dict[str, np.dtype] = {
    f"{name}Storage": np.dtype(dtype)
    for name, dtype in {
        "BFloat16": jnp.bfloat16, "Bool": "?", "Byte": "u1", "Char": "i1",
        "ComplexDouble": "c16", "ComplexFloat": "c8", "Double": "f8", "Float": "f4",
        "Half": "f2", "Int": "i4", "Long": "i8", "Short": "i2", "Untyped": "u1",
    }.items()
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Storage:
    """Elements in a file.

    Attributes:
      read: returns all bytes of the whole storage.
      dtype: of the elements, in the byte order of the file.
      start: the first element, for a view of another storage.
      size: the number of elements.
    """

    read: Callable[[], bytes]
    dtype: np.dtype
    start: int
    size: int

    def elements(self) -> np.ndarray:
        """The elements; raises `ValueError` if the file holds fewer."""
        offset = self.start * self.dtype.itemsize
        return np.frombuffer(self.read(), self.dtype, self.size, offset)


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor whose elements are not read yet."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        """The tensor as an array of its own; floats become float32.

        Raises:
          ValueError: it lies outside its storage.
        """
        counts = (self.offset, *self.shape, *self.strides)
        if len(self.shape) != len(self.strides) or any(
            not isinstance(count, int) or count < 0 for count in counts
        ):
            raise ValueError(
                f"a tensor has the shape {self.shape}, the strides {self.strides} and "
                f"the offset {self.offset}"
            )
        elements = self.storage.elements()
        last = self.offset + sum(
            (length - 1) * stride
            for length, stride in zip(self.shape, self.strides, strict=True)
        )
        if math.prod(self.shape) and last >= len(elements):
            raise ValueError(
                f"a tensor of shape {self.shape} ends at element {last}, but its "
                f"storage has {len(elements)}"
            )
        if not math.prod(self.shape):
            return np.zeros(self.shape, _read_as(elements.dtype))
        view = np.lib.stride_tricks.as_strided(
            elements[self.offset :],
            self.shape,
            [stride * elements.itemsize for stride in self.strides],
        )
        return view.astype(_read_as(elements.dtype))


def _read_as(dtype: np.dtype) -> np.dtype:
    floating = jnp.issubdtype(dtype, jnp.floating)
    return np.dtype(np.float32) if floating else dtype.newbyteorder("=")


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Any:
    # Anything but a storage that could be read: the tensor is left out.
    if not isinstance(storage, Storage):
        return None
    return Tensor(storage, offset, tuple(size), tuple(stride))


def _typed(
    storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any,
    dtype: Any, *_: Any,
) -> Any:  # fmt: skip
    """A tensor whose storage is plain bytes; only its dtype says what they are."""
    name = dtype.pickled_name if isinstance(dtype, type) else ""
    known = _BY_DTYPE.get(name)
    if not isinstance(storage, Storage) or known is None:
        return None
    typed = dataclasses.replace(
        storage, dtype=known, size=storage.size // known.itemsize
    )
    return _tensor(typed, offset, size, stride)


def _inner(tensor: Any, *_: Any) -> Any:
    """A parameter is the tensor in it."""
    return tensor


def _of_a_type(function: Any, _type: Any, args: Any, *_: Any) -> Any:
    """A tensor of a subclass, or with attributes, is made by another function."""
    return function(*args) if function in KNOWN.values() else None


_BY_DTYPE = {f"torch.{name}": np.dtype(name) for name in ("uint16", "uint32", "uint64")}
# torch's functions that make tensors, by name.
KNOWN: dict[str, Callable[..., Any]] = {
    "torch._tensor._rebuild_from_type": _of_a_type,
    "torch._tensor._rebuild_from_type_v2": _of_a_type,
    "torch._utils._rebuild_parameter": _inner,
    "torch._utils._rebuild_parameter_with_state": _inner,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed,
}


def storage_dtype(kind: Any) -> np.dtype:
    """The dtype of a storage of that class; raises `ValueError` if it has none here."""
    name = kind.pickled_name if isinstance(kind, type) else str(kind)
    module, _, short = name.rpartition(".")
    if module.split(".")[0] == "torch" and short in STORAGES:
        return STORAGES[short]
    raise ValueError(f"it has tensors of the kind {name}, which cannot be read")
