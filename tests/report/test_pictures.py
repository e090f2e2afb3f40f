from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import shapely
from matplotlib import image

from utm.core import judge
from utm.report import Flown, height_profile, plan_view, separation_plot
from utm.report.canvas import figure, place_labels
from utm.report.profile_picture import _band, _distance_along
from utm.report.separation_picture import _guaranteed


def pixels(file) -> np.ndarray:
    return image.imread(file)


def grounded(flight):
    none = np.empty(0)
    return dataclasses.replace(
        flight,
        t_s=none,
        enu_m=np.empty((0, 3)),
        cross_track_m=none,
        height_error_m=none,
        inside=np.empty(0, bool),
        trouble="the vehicle refused the mission",
    )


def test_plan_view(flown: Flown, tmp_path):
    plan_view(flown, tmp_path / "plan.png")
    height, width, _ = pixels(tmp_path / "plan.png").shape
    assert width == 1600
    assert 600 < height < 1800
    assert [file.name for file in tmp_path.iterdir()] == ["plan.png"]


def test_height_profile(flown: Flown, tmp_path):
    for flight in flown.flights:
        height_profile(flown, flight, tmp_path / "profile.png")
        assert pixels(tmp_path / "profile.png").shape[:2] == (752, 1600)


def test_separation_plot(flown: Flown, tmp_path):
    separation_plot(flown, tmp_path / "separation.png")
    height, width, _ = pixels(tmp_path / "separation.png").shape
    assert width == 1600
    assert 700 < height < 1000


def test_pictures_of_flights_that_went_wrong(flown: Flown, make_flight, tmp_path):
    stray = make_flight("STRAY", [[120, 302, 10], [120, 302, 80], [780, 312, 80], [780, 312, 10]], aside_m=30.0)
    wrong = dataclasses.replace(flown, flights=(flown.flights[0], grounded(flown.flights[1]), stray))
    plan_view(wrong, tmp_path / "plan.png")
    separation_plot(wrong, tmp_path / "separation.png")
    for flight in wrong.flights:
        height_profile(wrong, flight, tmp_path / "profile.png")


def test_pictures_of_no_flights(flown: Flown, tmp_path):
    empty = dataclasses.replace(flown, flights=(), refused=(), places=(), zones=())
    plan_view(empty, tmp_path / "plan.png")
    separation_plot(empty, tmp_path / "separation.png")


def test_names_without_glyphs_are_left_out_not_drawn_as_boxes(flown: Flown, tmp_path):
    # matplotlib warns of a missing glyph, and a warning is an error here
    japanese = dataclasses.replace(
        flown, title="加賀市", places=tuple(("病院", lon, lat) for _, lon, lat in flown.places)
    )
    plan_view(japanese, tmp_path / "plan.png")
    height_profile(japanese, japanese.flights[0], tmp_path / "profile.png")


def test_the_same_flight_gives_the_same_bytes(flown: Flown, tmp_path):
    for name in ("a.png", "b.png"):
        separation_plot(flown, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_picture_that_cannot_be_written_leaves_nothing(flown: Flown, tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        separation_plot(flown, tmp_path / "nowhere" / "separation.png")


def test_labels_keep_off_each_other():
    made = figure(6.0)
    ax = made.add_axes((0.1, 0.1, 0.8, 0.8))
    ax.set(xlim=(0, 100), ylim=(0, 60))
    labels = [(f"Pad number {i}", 50.0 + 2 * (i % 3), 30.0 + 1.5 * i, "black") for i in range(6)]
    renderer = made.canvas.get_renderer()
    boxes = [note.get_window_extent(renderer) for note in place_labels(ax, labels, np.empty((0, 2)))]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_the_drawn_corridor_is_the_one_that_is_judged(flown: Flown):
    flight = flown.flights[0]
    corridor, line = flight.intent.corridor, flight.intent.corridor.centre_line
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line.enu_m[:, :2], axis=0).T))])
    band = _band(flight, along)
    rng = np.random.default_rng(1)
    way = shapely.LineString(line.enu_m[:, :2])
    judged = 0
    for distance, up in zip(rng.uniform(-40, along[-1] + 40, 300), rng.uniform(0, 110, 300), strict=True):
        # Straight in plan, so a place beyond an end is found by going on
        heading = (line.enu_m[-1, :2] - line.enu_m[0, :2]) / way.length
        place = np.append(line.enu_m[0, :2] + distance * heading, up)
        times = np.arange(line.start_s, line.end_s, 2.0)
        inside = any(judge(corridor, t, place).inside for t in times)
        if abs(band.exterior.distance(shapely.Point(distance, up))) > 0.5:
            assert inside == band.contains(shapely.Point(distance, up))
            judged += 1
    assert judged > 200


@pytest.mark.parametrize(
    "corners",
    [
        [(0, 0), (200, 0), (200, 100), (100, 100), (100, -100)],
        [(0, 0), (200, 0), (200, 100), (300, 100), (300, 0), (200, 0), (200, -100)],
    ],
    ids=["across a leg", "through a corner"],
)
def test_distance_along_a_way_that_crosses_itself(corners):
    line = np.array([(east, north, 50.0) for east, north in corners])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line[:, :2], axis=0).T))])
    where = np.arange(0.0, along[-1], 4.0)
    track = np.column_stack([np.interp(where, along, line[:, k]) for k in range(3)]) + [-0.3, 0.2, 0.0]
    assert _distance_along(line, along, track) == pytest.approx(where, abs=0.6)


def test_what_the_corridors_keep_free_is_kept_free(flown: Flown):
    a, b = (flight.intent.corridor for flight in flown.flights)
    rng = np.random.default_rng(5)
    times = np.linspace(a.centre_line.start_s + 20, a.centre_line.end_s - 10, 25)
    across, up = _guaranteed(a, b, times)
    assert across.max() > 50
    for index, now in enumerate(times):
        for _ in range(40):
            drones = []
            for corridor in (a, b):
                place = corridor.centre_line.at(now + rng.uniform(-1, 1) * corridor.time_tolerance_s)
                turn = rng.uniform(0, 2 * np.pi)
                aside = corridor.half_width_m * np.array([np.cos(turn), np.sin(turn)])
                drones.append(place + [*aside, rng.uniform(-corridor.below_m, corridor.above_m)])
            apart = drones[1] - drones[0]
            assert np.hypot(*apart[:2]) >= across[index] - 1e-6
            assert abs(apart[2]) >= up[index] - 1e-6
