"""The one place that says how a kernel is compiled.

A kernel works on bare arrays and scalars (units in its docstring), is capped, and returns a status; the function
around it checks the input, shields the kernel from array flavours that would compile it twice, and raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Never ``fastmath``: it assumes away NaN and infinity, and reorders sums that bounds depend on. ``error_model``
#: numpy makes a division by zero an infinity instead of an exception that a kernel without the GIL cannot raise well.
FLAGS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function for the core when it is first called.

    A kernel calls only kernels of its own file: the compile cache watches no other. It stays reachable uncompiled as
    ``.py_func``.
    """
    return numba.njit(**FLAGS)(function)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only view without a copy: read-only and writable arrays are different types to the compiler, and a
    kernel that is always given the one is compiled once."""
    view = array.view()
    view.flags.writeable = False
    return view


def point(values: object, name: str) -> NDArray[np.float64]:
    """A point (3,) of finite numbers, or ValueError."""
    array = np.array(values, np.float64)
    if array.shape != (3,) or not np.isfinite(array).all():
        raise ValueError(f"{name} must be three finite numbers, got {values!r}")
    return array


def voxel(values: ArrayLike, name: str, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """The indices of a voxel of a volume, or ValueError."""
    cell = np.asarray(values)
    if cell.shape != (3,) or cell.dtype.kind not in "iu":
        raise ValueError(f"{name} must be three integers, got {values!r}")
    if (cell < 0).any() or (cell >= shape).any():
        raise ValueError(f"{name} {cell.tolist()} lies outside the volume of {shape} voxels")
    return int(cell[0]), int(cell[1]), int(cell[2])
