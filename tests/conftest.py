"""The leg without the compiler: `make nojit` runs the tests marked so as plain Python, and counts who calls what.

Nothing is wrapped where the compiler is on. Where it is off, `numba.njit` is replaced before the first module of the
project is imported, so that no kernel escapes, whatever room it lives in; `tests/test_kernels.py` asks at the end.
"""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import hypothesis
import numba
import numpy as np
import pytest

#: Calls of each kernel of the project, as "module.name"; filled only while the compiler is off.
CALLS: Counter[str] = Counter()


def _counted(function: Callable[..., Any]) -> Callable[..., Any]:
    name = f"{function.__module__}.{function.__qualname__}"
    CALLS[name] = 0

    @functools.wraps(function)
    def counting(*arguments: Any, **named: Any) -> Any:
        CALLS[name] += 1
        with np.errstate(all="ignore"):  # compiled code says nothing of overflows, infinities and NaN either
            return function(*arguments, **named)

    return counting


def _njit(function: Callable[..., Any] | None = None, **options: Any) -> Callable[..., Any]:
    """Stands for `numba.njit`, as `@njit`, `@njit(...)` and `njit(...)(function)`."""
    return _counted if function is None else _counted(function)


if numba.config.DISABLE_JIT:
    early = sorted(name for name in sys.modules if name == "utm" or name.startswith("utm."))
    assert not early, f"imported before its kernels could be counted: {early}"
    numba.njit = _njit
    # A compiled kernel is a hundred times faster; what no settings say otherwise stays small.
    hypothesis.settings.register_profile("nojit", deadline=None, max_examples=20)
    hypothesis.settings.load_profile("nojit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who asks whether every kernel was called comes last."""
    items.sort(key=lambda item: item.path.name == "test_kernels.py")
