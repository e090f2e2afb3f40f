"""The pure heart: flight space, search, timed motion, conflict, conformance. Arrays and model objects in and out."""

from utm.core.advisories import Advice, advise, advise_all, followed
from utm.core.anyangle import AnyAnglePath, AnyAnglePlanner
from utm.core.beneath import Beneath, Pad, beneath, first_closed, pad_at, terrain_below
from utm.core.clearance import HeightProfile, height_profile, least_distance
from utm.core.columns import Columns, lowest_clear
from utm.core.conflict import closest_approach, closest_approaches, forbidden_delays, in_conflict, least_delay
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
from utm.core.encounters import Encounter, LiveDrone, Picture, Severity, find_encounters, predict
from utm.core.energy import ground_speed_m_s, leg_time_energy, power_w, usable_wh
from utm.core.excursions import F3548, Figures
from utm.core.field import clearance_field, halo_cells
from utm.core.fleets import FlightRecord, Tally, flight_record, tally
from utm.core.flightspace import FlightSpace, KeepOut, flight_space, without
from utm.core.flown import Flown, flown
from utm.core.flyable import Energy, flight_energy, flyable
from utm.core.grid import GridPath, GridPlanner
from utm.core.levels import corners_only, level_legs
from utm.core.longways import LongPath, LongPlanner
from utm.core.manoeuvres import HeightBand, Manoeuvre, possible_manoeuvres
from utm.core.nearest import Nearest, nearest_things
from utm.core.outline import Beside, Outline, nearest_beside, outline_of
from utm.core.pace import TooFast, drawn_wh, too_fast, too_windy
from utm.core.safeintervals import SafeIntervalPlanner, TimedPath
from utm.core.shorten import shorten_by_cost
from utm.core.sight import least_along, pull_string, segment_clear
from utm.core.tiles import Ground, Tiles
from utm.core.traffic import Traffic, apart
from utm.core.trajectory import flight_time_s, time_path
from utm.core.tube import corner_triangles, rounded, tube_of
from utm.core.turns import turns_clear
from utm.core.voxels import Voxels, voxelise
from utm.core.within import spans_inside

__all__ = [
    "F3548",
    "Advice",
    "AnyAnglePath",
    "AnyAnglePlanner",
    "Beneath",
    "Beside",
    "Columns",
    "Conformity",
    "CostPath",
    "CostPlanner",
    "Encounter",
    "Energy",
    "Figures",
    "FlightRecord",
    "FlightSpace",
    "Flown",
    "GridPath",
    "GridPlanner",
    "Ground",
    "HeightBand",
    "HeightProfile",
    "Judgement",
    "KeepOut",
    "LiveDrone",
    "LongPath",
    "LongPlanner",
    "Manoeuvre",
    "Nearest",
    "News",
    "NewsKind",
    "Outline",
    "Pad",
    "Picture",
    "Report",
    "SafeIntervalPlanner",
    "Severity",
    "Tally",
    "Tiles",
    "TimedPath",
    "TooFast",
    "Traffic",
    "Voxels",
    "advise",
    "advise_all",
    "apart",
    "beneath",
    "clearance_field",
    "closest_approach",
    "closest_approaches",
    "conformity_document",
    "conformity_from",
    "corner_triangles",
    "corners_only",
    "drawn_wh",
    "find_encounters",
    "first_closed",
    "flight_energy",
    "flight_record",
    "flight_space",
    "flight_time_s",
    "flown",
    "flyable",
    "followed",
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
    "nearest_beside",
    "nearest_things",
    "observe",
    "outline_of",
    "pad_at",
    "possible_manoeuvres",
    "power_w",
    "predict",
    "pull_string",
    "rounded",
    "segment_clear",
    "settled",
    "shorten_by_cost",
    "silence",
    "spans_inside",
    "tally",
    "terrain_below",
    "time_path",
    "too_fast",
    "too_windy",
    "tube_of",
    "turns_clear",
    "usable_wh",
    "voxelise",
    "without",
]
