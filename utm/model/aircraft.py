"""What the engine must know of an aircraft to plan, time and judge its flight."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aircraft:
    """A multicopter class. All speeds are ground speeds in calm air."""

    name: str
    """Class name, for example ``quad``."""
    radius_m: float
    """Hull radius, propellers included."""
    cruise_m_s: float
    """Horizontal speed on a leg."""
    climb_m_s: float
    """Vertical speed upwards."""
    descent_m_s: float
    """Vertical speed downwards, above ``slow_below_m``."""
    landing_m_s: float
    """Vertical speed downwards in the last ``slow_below_m`` of a landing."""
    slow_below_m: float
    """Height above the pad at which a landing slows down."""
    acceleration_m_s2: float
    """Horizontal acceleration and deceleration."""
    endurance_s: float
    """Longest flight that leaves the aircraft's own reserve untouched."""
    max_airspeed_m_s: float = 15.0
    """Highest speed through the air; in a stronger headwind it falls behind its cruise speed over the ground."""
    mass_kg: float = 2.0
    """Take-off mass, payload included."""
    rotor_disc_m2: float = 0.2
    """Area of all rotor discs together."""
    drag_area_m2: float = 0.03
    """Drag coefficient times frontal area."""
    efficiency: float = 0.5
    """Share of the battery's power that becomes induced, parasite and climbing power in the air."""
    avionics_w: float = 15.0
    """Power drawn by everything but the motors."""
    battery_wh: float = 120.0
    """Energy of a full battery."""
    reserve_share: float = 0.2
    """Share of the battery that a planned flight must leave untouched."""
    navigation_error_m: float = 5.2
    """How far off its horizontal position is at most in 95 % of all cases (2.08 times a receiver's CEP)."""
    height_error_m: float = 5.0
    """How far off its height is at most in 95 % of all cases."""


#: Classes that a plan may name instead of spelling the figures out. The vertical figures are what PX4 flies by
#: default in a mission (MPC_Z_V_AUTO_UP 3.0, MPC_Z_V_AUTO_DN 1.5, MPC_LAND_SPEED 0.7). The cruise speeds are a sixth
#: below what they make at best (PX4's simulated quad 9.7 m/s): who plans at the limit can never catch up.
AIRCRAFT_CLASSES: dict[str, Aircraft] = {
    aircraft.name: aircraft
    for aircraft in (
        Aircraft(
            name="quad",
            radius_m=0.6,
            cruise_m_s=8.0,
            climb_m_s=3.0,
            descent_m_s=1.5,
            landing_m_s=0.7,
            slow_below_m=10.0,
            acceleration_m_s2=2.0,
            endurance_s=1500.0,
            max_airspeed_m_s=15.0,
            mass_kg=2.0,
            rotor_disc_m2=0.2,
            drag_area_m2=0.03,
            efficiency=0.5,
            avionics_w=15.0,
            battery_wh=120.0,
            reserve_share=0.2,
        ),
        Aircraft(
            name="quad-cargo",
            radius_m=1.2,
            cruise_m_s=10.0,
            climb_m_s=3.0,
            descent_m_s=1.5,
            landing_m_s=0.7,
            slow_below_m=10.0,
            acceleration_m_s2=2.0,
            endurance_s=1500.0,
            max_airspeed_m_s=18.0,
            mass_kg=8.0,
            rotor_disc_m2=0.8,
            drag_area_m2=0.08,
            efficiency=0.5,
            avionics_w=30.0,
            battery_wh=500.0,
            reserve_share=0.2,
        ),
    )
}
