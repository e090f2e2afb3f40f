"""Every kernel is compiled as `utm.core._jit` says, and works without the compiler, too."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import numba
import pytest

import utm.core
import utm.mapping
from tests.conftest import CALLS
from utm.core._jit import FLAGS

#: Kernels that no test calls with the compiler off, each with its reason. Empty, and meant to stay so.
EXCEPTIONS: dict[str, str] = {}


def modules() -> list[ModuleType]:
    """All of the rooms where kernels live, imported."""
    return [
        importlib.import_module(found.name)
        for room in (utm.core, utm.mapping)
        for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
    ]


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="there is nothing compiled in the leg without the compiler")
def test_kernels_of_the_core_are_compiled_alike():
    kernels = {
        f"{module.__name__}.{name}": value
        for module in modules()
        for name, value in vars(module).items()
        if module.__name__.startswith("utm.core") and hasattr(value, "py_func") and value.__module__ == module.__name__
    }
    assert kernels
    wanted = {name: value for name, value in FLAGS.items() if name != "cache"}
    for name, compiled in kernels.items():
        options = {key: value for key, value in compiled.targetoptions.items() if key in wanted or key == "fastmath"}
        assert options == wanted, f"{name} is not made by utm.core._jit.kernel: {compiled.targetoptions}"


@pytest.mark.nojit
@pytest.mark.skipif(not numba.config.DISABLE_JIT, reason="asked by the leg without the compiler: make nojit")
def test_every_kernel_ran_without_the_compiler():
    modules()
    assert CALLS
    silent = sorted(name for name, calls in CALLS.items() if not calls and name not in EXCEPTIONS)
    assert not silent, "kernels that no test marked nojit calls: " + ", ".join(silent)
    needless = sorted(name for name in EXCEPTIONS if CALLS.get(name) != 0)
    assert not needless, "exceptions that are none any more: " + ", ".join(needless)
