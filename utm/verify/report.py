"""What the verifier says."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from utm.model import LimitKind

#: What rounding may take from a margin. Limits that are kept exactly count as kept.
ROUNDING_M = 1e-6


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One limit, proven: the true margin lies in [margin_low_m, margin_high_m]."""

    kind: LimitKind
    subject: str
    """``id@hash`` of a zone, ``id@ovn`` of a neighbour, ``origin`` or ``destination``; empty otherwise."""
    margin_low_m: float
    """Metres by which the limit is kept at least; negative: broken by as much at most."""
    margin_high_m: float
    """Metres by which it is kept at most; infinite where nothing of the kind is near."""
    needed_m: float
    """What is needed; the margin comes on top of it."""
    at_s: float | None
    """When, Unix seconds, on the flight's own centre line; None where nothing of the kind is near."""
    at_m: tuple[float, float, float] | None
    """Where the flight is then, metres east, north, up."""
    sentence: str

    @property
    def holds(self) -> bool:
        """Whether the limit is kept."""
        return self.margin_low_m >= -ROUNDING_M


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """The second opinion on one approval."""

    id: str
    """Of the intent; empty where the document names none."""
    lines: tuple[Line, ...]
    """Every limit, kept or not."""
    faults: tuple[str, ...]
    """What is wrong, in sentences; none of it can be waved through."""

    @property
    def holds(self) -> bool:
        """Whether the approval is proven."""
        return not self.faults

    def document(self) -> dict[str, Any]:
        """As JSON; margins without bound are null."""

        def plain(value: Any) -> Any:
            return None if isinstance(value, float) and not math.isfinite(value) else value

        lines = [{name: plain(value) for name, value in dataclasses.asdict(line).items()} for line in self.lines]
        return {"id": self.id, "holds": self.holds, "lines": lines, "faults": list(self.faults)}
