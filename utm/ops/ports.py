"""What flying needs of the world: a vehicle, the airspace, a judge. Whoever has these methods will do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from utm.model import Corridor, SkyRoad, VehicleState, Waypoint
from utm.ops.change import News


class Vehicle(Protocol):
    """One drone. Every method that changes it returns when the change shows, not when it was acknowledged."""

    @property
    def said(self) -> list[str]:
        """The vehicle's own words so far, oldest first."""
        ...

    async def connect(self, timeout_s: float) -> None:
        """Find it. Raises LinkError."""
        ...

    async def ready(self, timeout_s: float) -> Waypoint:
        """Wait until it has position and home, and would arm; its home, AMSL. Raises VehicleRefused, LinkError."""
        ...

    async def load(self, road: SkyRoad) -> None:
        """Put fence, failsafe parameters and mission in force. Raises VehicleRefused, LinkError."""
        ...

    async def arm(self) -> None:
        """Start the motors; it stays on the ground. Raises VehicleRefused, LinkError."""
        ...

    async def start(self) -> None:
        """Fly what is loaded. Raises VehicleRefused, LinkError."""
        ...

    async def pace(self, speed_m_s: float) -> None:
        """Fly on at another ground speed, until the mission names one again. Raises VehicleRefused, LinkError."""
        ...

    async def hold(self) -> None:
        """Stop and hover. Raises VehicleRefused, LinkError."""
        ...

    async def return_home(self) -> None:
        """Return the way its failsafe parameters say. Raises VehicleRefused, LinkError."""
        ...

    async def land(self) -> None:
        """Land where it is. Raises VehicleRefused, LinkError."""
        ...

    async def disarm(self) -> None:
        """Stop the motors of a vehicle that stands on the ground. Raises VehicleRefused, LinkError."""
        ...

    def states(self) -> AsyncIterator[VehicleState]:
        """Each position report from now on, stamped by the vehicle's clock. Raises LinkError when it goes silent."""
        ...

    async def close(self) -> None:
        """Free the link."""
        ...


class Airspace(Protocol):
    """The authority that granted the flight. Times are Unix seconds by the vehicle's clock."""

    async def activate(self, intent_id: str, t_s: float) -> None:
        """About to take off. Raises StateError when the airspace does not allow it."""
        ...

    async def position(
        self, intent_id: str, t_s: float, enu_m: NDArray[np.float64], *, landed: bool = False, received_s: float
    ) -> None:
        """Where it is: (3,) metres east, north, up in the map's frame. A place outside the corridor makes the
        intent Nonconforming.

        Args:
            landed: whether it says that it stands on the ground.
            received_s: when it was heard, which is later than ``t_s`` for a report that came late.
        """
        ...

    async def end(self, intent_id: str, t_s: float) -> None:
        """It stands on the ground again, disarmed."""
        ...

    async def changes(self, intent_ids: Collection[str], after_seq: int | None) -> News:
        """What became of some intents past an entry of the airspace's log, whoever caused it.

        Args:
            after_seq: None for how each of them stands now.

        Raises:
            StoreError: the airspace does not answer; asked again with the same number, nothing is missed.
        """
        ...


class Verdict(Protocol):
    """What a judge says about one position."""

    @property
    def inside(self) -> bool:
        """Whether the drone conforms."""
        ...

    @property
    def cross_track_m(self) -> float:
        """Horizontal distance from the centre line."""
        ...

    @property
    def height_error_m(self) -> float:
        """Height above the centre line; negative below."""
        ...

    @property
    def late_s(self) -> float:
        """How far behind its time it is; negative for early."""
        ...


class Judge(Protocol):
    """How a position is judged against a corridor, as :class:`utm.model.Corridor` defines it."""

    def __call__(self, corridor: Corridor, t_s: float, enu_m: NDArray[np.float64]) -> Verdict:
        """Args: ``t_s`` Unix seconds; ``enu_m`` (3,) metres in the map's frame."""
        ...
