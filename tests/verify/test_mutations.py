"""Approvals that break one limit by a centimetre or a tenth of a second are refused, their twins are not."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from tests.verify.forging import judged
from tests.verify.mutations import FAMILIES, Forged
from utm.mapping import CityMap
from utm.verify import Report

SEED = 5


def dice(family: str, number: int) -> np.random.Generator:
    return np.random.default_rng([SEED, zlib.crc32(family.encode()), number])


def kinds(report: Report) -> set[str]:
    return {str(line.kind) for line in report.lines if not line.holds}


def check(city: CityMap, family: str, number: int) -> None:
    forged = FAMILIES[family](city, dice(family, number), True)
    assert forged is not None
    report = judged(forged.document, city, **forged.beside)
    said = f"{family} {number}: {report.faults}"
    assert not report.holds, said
    assert kinds(report) == set(forged.kinds), said
    if forged.kinds:
        assert len(report.faults) == len([line for line in report.lines if not line.holds]), said
    else:
        assert forged.says in report.faults[0], said
    twin: Forged | None = FAMILIES[family](city, dice(family, number), False)
    if twin is not None:
        report = judged(twin.document, city, **twin.beside)
        assert report.holds, f"the twin of {family} {number}: {report.faults}"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_centimetre_or_a_tenth_of_a_second_decides(plain: CityMap, family: str):
    """A thousand mutated approvals in all families together, every one refused for the reason that it was given."""
    for number in range(-(-1000 // len(FAMILIES))):
        check(plain, family, number)
