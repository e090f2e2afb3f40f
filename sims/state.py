"""What one simulated vehicle is and knows at a moment; the parts of the autopilot share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sims.dynamics import Multicopter
from sims.mission import Item
from sims.modes import Mode
from sims.params import Parameters
from sims.plane import LocalPlane
from sims.trajectory import Vector

#: Simulated seconds after switching on until the position is known.
POSITION_AFTER_S = 2.0


@dataclass(frozen=True, slots=True)
class Home:
    """Where the vehicle would return to."""

    lon_deg: float
    lat_deg: float
    amsl_m: float


@dataclass(slots=True, eq=False)
class State:
    """One vehicle. Times are simulated seconds since it was switched on; ``up`` counts from the ground there."""

    copter: Multicopter
    plane: LocalPlane
    params: Parameters
    ground_amsl: Callable[[float, float], float]
    """Height AMSL of whatever is below, by longitude and latitude."""
    rangefinder: bool
    """Whether landings reckon with the ground below; without one PX4 reckons with home's height."""
    drain_per_s: float
    """Share of the battery used per second with motors running; a fault hook."""
    now_s: float = 0.0
    mode: Mode = Mode.HOLD
    """What is flown, and what the heartbeat says."""
    intended: Mode = Mode.HOLD
    """What the operator asked for; a failsafe flies something else."""
    armed: bool = False
    on_ground: bool = True
    flown: bool = False
    """Whether the vehicle has left the ground since it was armed."""
    failsafe: bool = False
    descending_blind: bool = False
    """Coming down without knowing where."""
    home: Home | None = None
    battery: float = 1.0
    """0 to 1; a fault hook."""
    gps: bool = True
    """False: no position from satellites; a fault hook."""
    gcs_heard_s: float | None = None
    gcs_connected: bool = False
    ground_m: float = 0.0
    """``up`` of the ground below, as last looked at."""

    @property
    def position_known(self) -> bool:
        """Whether the vehicle knows where it is."""
        return self.gps and self.now_s >= POSITION_AFTER_S

    @property
    def place(self) -> tuple[float, float]:
        """True longitude and latitude."""
        x, y, _ = self.copter.body.position
        return self.plane.to_lonlat(x, y)

    @property
    def up_m(self) -> float:
        """True height above the ground where the vehicle was switched on."""
        return self.copter.body.position[2]

    @property
    def amsl_m(self) -> float:
        """True height above mean sea level."""
        return self.up_m + self.plane.amsl_m

    @property
    def home_amsl_m(self) -> float:
        """Height that relative altitudes refer to."""
        return self.home.amsl_m if self.home else self.plane.amsl_m

    def set_home(self) -> None:
        """Home is here."""
        self.home = Home(*self.place, self.amsl_m)

    def look_at_ground(self) -> None:
        """Find the ground below."""
        self.ground_m = self.ground_amsl(*self.place) - self.plane.amsl_m

    def landing_height_m(self) -> float:
        """The height above ground that a landing reckons with."""
        if self.rangefinder or self.home is None:
            return self.up_m - self.ground_m
        return self.amsl_m - self.home.amsl_m

    def position_of(self, item: Item) -> Vector:
        """An item's place in metres east, north, up."""
        x, y = self.plane.to_metres(item.lon_deg, item.lat_deg)
        return (x, y, item.amsl_m(self.home_amsl_m) - self.plane.amsl_m)
