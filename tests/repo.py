"""Where things are: the checkout, and the real data that may lie beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "data" / "sample_dsm"


def shared_data(name: str) -> Path:
    """A file or folder of real data, or skip the test with the reason in words."""
    path = Path(os.environ.get("UTM_SHARED_DATA", ROOT.parent / "shared" / "data")) / name
    if not path.exists():
        pytest.skip(f"the real data set {name} is not beside the project (see CONTRIBUTING, UTM_SHARED_DATA)")
    return path
