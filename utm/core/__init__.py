"""The pure heart: flight space, search, timed motion, conflict, conformance. Arrays and model objects in and out."""

from utm.core.anyangle import AnyAnglePath, AnyAnglePlanner
from utm.core.clearance import HeightProfile, height_profile, least_distance
from utm.core.columns import Columns, lowest_clear
from utm.core.conflict import closest_approach, forbidden_delays, in_conflict, least_delay
from utm.core.conformance import Judgement, judge
from utm.core.conforming import (
    Conformity,
    News,
    NewsKind,
    Report,
    conformity_document,
    conformity_from,
    observe,
    settled,
    silence,
)
from utm.core.costs import CostPath, CostPlanner
from utm.core.energy import ground_speed_m_s, leg_time_energy, power_w, usable_wh
from utm.core.excursions import F3548, Figures
from utm.core.field import clearance_field, halo_cells
from utm.core.fleets import FlightRecord, Tally, flight_record, tally
from utm.core.flightspace import FlightSpace, KeepOut, flight_space, without
from utm.core.flyable import Energy, flight_energy, flyable
from utm.core.grid import GridPath, GridPlanner
from utm.core.levels import corners_only, level_legs
from utm.core.longways import LongPath, LongPlanner
from utm.core.shorten import shorten_by_cost
from utm.core.sight import least_along, pull_string, segment_clear
from utm.core.traffic import Traffic, apart
from utm.core.trajectory import flight_time_s, time_path
from utm.core.tube import corner_triangles, rounded, tube_of
from utm.core.turns import turns_clear
from utm.core.voxels import Voxels, voxelise
from utm.core.within import spans_inside

__all__ = [
    "F3548",
    "AnyAnglePath",
    "AnyAnglePlanner",
    "Columns",
    "Conformity",
    "CostPath",
    "CostPlanner",
    "Energy",
    "Figures",
    "FlightRecord",
    "FlightSpace",
    "GridPath",
    "GridPlanner",
    "HeightProfile",
    "Judgement",
    "KeepOut",
    "LongPath",
    "LongPlanner",
    "News",
    "NewsKind",
    "Report",
    "Tally",
    "Traffic",
    "Voxels",
    "apart",
    "clearance_field",
    "closest_approach",
    "conformity_document",
    "conformity_from",
    "corner_triangles",
    "corners_only",
    "flight_energy",
    "flight_record",
    "flight_space",
    "flight_time_s",
    "flyable",
    "forbidden_delays",
    "ground_speed_m_s",
    "halo_cells",
    "height_profile",
    "in_conflict",
    "judge",
    "least_along",
    "least_delay",
    "least_distance",
    "leg_time_energy",
    "level_legs",
    "lowest_clear",
    "observe",
    "power_w",
    "pull_string",
    "rounded",
    "segment_clear",
    "settled",
    "shorten_by_cost",
    "silence",
    "spans_inside",
    "tally",
    "time_path",
    "tube_of",
    "turns_clear",
    "usable_wh",
    "voxelise",
    "without",
]
