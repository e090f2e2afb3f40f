"""The forecast wind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from utm.model.motion import _frozen


@dataclass(frozen=True, slots=True, eq=False)
class Wind:
    """A forecast for a town: a horizontal wind at each height, linear between them, constant beyond the ends.

    Raises:
        ValueError: shapes that differ, heights that do not increase, numbers that are not finite.
    """

    up_m: NDArray[np.float64]
    """(k,) heights ``up``, increasing, k >= 1."""
    velocity_m_s: NDArray[np.float64]
    """(k, 2) metres per second towards east and north: where the air goes *to* (meteorologists say where it comes
    from)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "up_m", _frozen(self.up_m, None))
        object.__setattr__(self, "velocity_m_s", _frozen(self.velocity_m_s, 2))
        if len(self.up_m) == 0 or len(self.up_m) != len(self.velocity_m_s):
            raise ValueError(
                f"a wind needs a velocity for each height, got {len(self.up_m)} and {len(self.velocity_m_s)}"
            )
        if not (np.diff(self.up_m) > 0).all():
            raise ValueError("the heights of a wind must increase")

    @classmethod
    def uniform(cls, east_m_s: float, north_m_s: float) -> Wind:
        """The same wind everywhere."""
        return cls(np.zeros(1), np.array([[east_m_s, north_m_s]]))

    @property
    def strongest_m_s(self) -> float:
        """The highest speed at any height: the strength of a linear wind is convex, so it is at one of the levels."""
        return float(np.hypot(*self.velocity_m_s.T).max())

    def at(self, up_m: ArrayLike) -> NDArray[np.float64]:
        """Wind (..., 2) at heights (...)."""
        up = np.asarray(up_m, np.float64)
        return np.stack([np.interp(up, self.up_m, self.velocity_m_s[:, axis]) for axis in range(2)], axis=-1)


#: No wind at all.
CALM = Wind.uniform(0.0, 0.0)
