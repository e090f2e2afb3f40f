"""What was seen of a tile, put together: order does not count, the highest counts, a survey speaks for what it saw."""

import itertools

import numpy as np
import pytest

from utm.mapping.ingest.evidence import Evidence
from utm.mapping.ingest.grid import TILE
from utm.mapping.ingest.merge import PointsSeen, RasterSeen, Recall, merged, recalled
from utm.mapping.ingest.state import GROUND_CLASSIFIED, GROUND_DTM, GROUND_MODEL, GROUND_NONE, TileState
from utm.mapping.mapfile import RUN_DTYPE, RunKind, Status, TileContent

BOX = (TILE, 0, TILE + 6, 4)  # a cut-off tile whose cells are not counted from the map's corner


def raster(source, cells, error_m=0.0):
    highest = np.full((6, 4), -np.inf, np.float32)
    lowest = np.full((6, 4), np.inf, np.float32)
    for at, (low, high) in cells.items():
        lowest[at], highest[at] = low, high
    return RasterSeen(source, error_m, highest, lowest)


def cloud(source, rows, error_m=0.0, *, is_model=False, **more):
    """Rows: cell -> (low, top, returns)."""
    order = sorted(rows, key=lambda cell: cell[0] * TILE + cell[1])
    found = Evidence(
        cells=np.array([x * TILE + y for x, y in order], np.int32),
        low=np.array([rows[c][0] for c in order], np.float32),
        top=np.array([rows[c][1] for c in order], np.float32),
        levels=np.array([1 << (int(rows[c][1]) // 2 % 64) for c in order], np.uint64),
        returns=np.array([rows[c][2] for c in order], np.int32),
        **more,
    )
    return PointsSeen(source, error_m, is_model, found)


def entered(source, rows):
    """Rows: (cell, from, to, surface)."""
    found = Evidence(
        entered_cells=np.array([x * TILE + y for (x, y), *_ in rows], np.int32),
        entered_from=np.array([r[1] for r in rows], np.float32),
        entered_to=np.array([r[2] for r in rows], np.float32),
        entered_is_surface=np.array([r[3] for r in rows], bool),
    )
    return PointsSeen(source, 0.0, True, found)


def same(one: TileState, other: TileState) -> bool:
    names = TileState.ARRAYS + TileState.TABLES
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_the_highest_of_all_sources_with_its_error_decides():
    state = merged(
        BOX,
        [raster(1, {(0, 0): (9, 10), (1, 1): (20, 21)})],
        [],
        [cloud(2, {(0, 0): (8, 9.5, 3), (1, 1): (0, 5, 1), (2, 2): (1, 2, 1)}, error_m=1.0)],
    )
    assert state.base[0, 0] == 10.5
    assert state.base_source[0, 0] == 2
    assert (state.base[1, 1], state.base_source[1, 1]) == (21, 1)
    assert state.solid[1, 1] == 21
    assert state.flags[1, 1] == Status.FROM_RASTER | Status.FROM_CLOUD
    assert (state.base[2, 2], state.returns[2, 2]) == (3, 1)
    assert np.isneginf(state.solid[2, 2])
    assert state.low[0, 0] == 8
    assert np.isneginf(state.base[5, 3])


def test_an_error_is_added_upwards_in_float32():
    state = merged(BOX, [raster(1, {(0, 0): (100, 100.1)}, error_m=0.1)], [], [])
    assert state.base[0, 0] >= float(np.float32(100.1)) + 0.1


def test_order_does_not_count():
    rasters = [raster(1, {(0, 0): (9, 10)}), raster(4, {(0, 0): (9, 10), (1, 0): (3, 3)})]
    points = [
        cloud(2, {(0, 0): (8, 10, 3)}),
        cloud(
            3,
            {(0, 0): (8, 10, 2)},
            rejected_cells=np.array([5], np.int32),
            rejected_up=np.array([7], np.float32),
            rejected_again=np.zeros(1, bool),
        ),
        entered(5, [((2, 2), -np.inf, 30, True), ((2, 2), 40, 41, False)]),
        entered(6, [((2, 2), -np.inf, 30, True)]),
    ]
    first = merged(BOX, rasters, [], points)
    for r, p in itertools.product(itertools.permutations(rasters), itertools.permutations(points)):
        assert same(merged(BOX, r, [], p), first)
    assert first.base_source[0, 0] == 1, "of equals the first by number"
    assert first.returns[0, 0] == 5
    assert first.rejected["ix"].tolist() == [TILE]
    assert len(first.entered) == 3


@pytest.mark.parametrize("order", [1, -1])
def test_the_better_ground_wins_in_its_cell(order):
    classified = cloud(2, {}, ground_cells=np.array([0, 1], np.int32), ground_low=np.array([1, 2], np.float32),
                       ground_high=np.array([1.5, 2.5], np.float32))  # fmt: skip
    again = cloud(3, {}, ground_cells=np.array([1], np.int32), ground_low=np.array([1.0], np.float32),
                  ground_high=np.array([2.0], np.float32))  # fmt: skip
    base = cloud(4, {}, is_model=True, ground_cells=np.array([1, 2], np.int32),
                 ground_low=np.array([0, 0], np.float32), ground_high=np.array([9, 9], np.float32))  # fmt: skip
    dtm = raster(5, {(0, 0): (7, 8)})
    state = merged(BOX, [], [dtm], [classified, again, base][::order])
    assert (state.ground_low[0, 0], state.ground_high[0, 0], state.ground_rank[0, 0]) == (7, 8, GROUND_DTM)
    assert (state.ground_low[0, 1], state.ground_high[0, 1]) == (1, 2.5)
    assert state.ground_rank[0, 1] == GROUND_CLASSIFIED
    assert state.ground_low[0, 2] == 0
    assert state.ground_rank[5, 3] == GROUND_NONE
    assert (state.flags == 0).all(), "ground alone is no surface"


def content(runs=()):
    shape = (6, 4)
    layers = {
        "terrain": np.full(shape, 1, np.float32),
        "surface": np.full(shape, 5, np.float32),
        "status": np.full(shape, Status.KNOWN | Status.FROM_RASTER, np.uint8),
        "source": np.full(shape, 1, np.uint16),
        "age": np.zeros(shape, np.uint16),
    }
    layers["status"][3, 3] = Status.UNKNOWN | Status.TERRAIN_ASSUMED
    table = np.array(list(runs), RUN_DTYPE)
    for ix, iy in np.unique(table[["ix", "iy"]]):
        layers["surface"][ix, iy] = table[(table["ix"] == ix) & (table["iy"] == iy)]["to_m"].max()
    return TileContent(layers=layers, runs=table)


def test_a_map_remembers_what_it_knew_and_forgets_what_it_assumed():
    state = recalled(BOX, content([(1, 1, -np.inf, 4, RunKind.BASE, 1), (1, 1, 20, 22, RunKind.SEEN, 1)]))
    assert state.base[0, 0] == 5
    assert state.base[1, 1] == 4
    assert np.isneginf(state.base[3, 3])
    assert state.ground_rank[3, 3] == GROUND_NONE
    assert state.kept["ix"].tolist() == [TILE + 1]
    assert not state.fresh.any()


OLD = (
    (0, 0, -np.inf, 4, RunKind.BASE, 1), (0, 0, 4, 30, RunKind.SUSPECT, 1),
    (1, 1, -np.inf, 4, RunKind.BASE, 1), (1, 1, 20, 22, RunKind.SEEN, 1),
    (2, 2, -np.inf, 4, RunKind.BASE, 1), (2, 2, 15, 16, RunKind.ENTERED, 2), (2, 2, 25, 26, RunKind.ENTERED, 3),
)  # fmt: skip


def test_a_new_survey_speaks_for_what_it_saw_and_for_nothing_else():
    seen = raster(4, {(0, 0): (2, 2), (1, 1): (2, 2), (2, 2): (2, 2)})
    state = merged(BOX, [seen], [], [], recalled(BOX, content(OLD)))
    assert state.base[0, 0] == state.base[1, 1] == state.base[2, 2] == 2
    assert state.base[5, 3] == 5, "not seen again"
    assert state.kept["kind"].tolist() == [RunKind.SUSPECT, RunKind.SUSPECT], "cameras miss wires: a person decides"
    assert state.entered["source"].tolist() == [2, 3]
    assert state.fresh.sum() == 3


def test_a_wire_that_is_seen_again_is_no_suspect():
    beside = raster(4, {(1, 1): (2, 2), (1, 2): (19, 19)})
    state = merged(BOX, [beside], [], [], recalled(BOX, content(OLD)))
    assert state.kept["kind"].tolist() == [RunKind.SUSPECT]
    assert state.kept["ix"].tolist() == [TILE], "only the old suspect is left"


def test_a_roof_beside_a_wire_does_not_say_that_the_wire_was_seen_again():
    tower = raster(4, {(1, 1): (2, 2), (1, 2): (60, 60)})
    state = merged(BOX, [tower], [], [], recalled(BOX, content(OLD)))
    assert state.kept["kind"].tolist() == [RunKind.SUSPECT, RunKind.SUSPECT]


def test_the_highest_ground_under_a_model_is_remembered():
    """Nobody surveyed the cell, so its base is its ground: a rock higher than all cells around."""
    made = content([(4, 2, -np.inf, 4, RunKind.BASE, 0), (4, 2, 1, 8, RunKind.ENTERED, 3)])
    made.layers["status"][4, 2] = Status.KNOWN | Status.FROM_MODEL
    state = recalled(BOX, made)
    assert (state.ground_low[4, 2], state.ground_high[4, 2]) == (1, 4)


SOURCES = [
    {"kind": "cloud", "role": "surface"}, {"kind": "model", "role": "surface"},
    {"kind": "obstacles", "role": "surface", "counts": {"mast": 3}},
    {"kind": "obstacles", "role": "surface", "counts": {"building": 1, "mast": 1}},
]  # fmt: skip


def test_what_the_list_of_sources_tells_of_a_map():
    nothing = frozenset()
    assert Recall.of(SOURCES, {"ground": "auto"}, nothing).surfaces == {2, 4}
    assert Recall.of(SOURCES, {"ground": "auto"}, nothing).ground_rank == GROUND_CLASSIFIED
    assert Recall.of(SOURCES, {"ground": "filter"}, nothing).ground_rank == GROUND_MODEL
    with_terrain = [*SOURCES, {"kind": "raster", "role": "terrain"}]
    assert Recall.of(with_terrain, {"ground": "auto"}, nothing).ground_rank == GROUND_DTM


def test_what_is_withdrawn_is_gone_and_its_cells_are_news():
    state = merged(BOX, [], [], [], recalled(BOX, content(OLD), Recall(withdrawn=frozenset({2}))))
    assert state.entered["source"].tolist() == [3]
    assert np.argwhere(state.fresh).tolist() == [[2, 2]]


def test_a_wire_over_what_nobody_saw_stays_a_wire():
    """Below the assumed height of an unknown cell: taken for a surface, it would make the cell known, and low."""
    made = content([(3, 3, -np.inf, 20, RunKind.BASE, 0), (3, 3, 12, 13, RunKind.ENTERED, 2)])
    state = recalled(BOX, made)
    assert state.entered["from_m"].tolist() == [12]
    assert not state.entered["surface"].any()


def test_a_mast_over_what_nobody_saw_is_no_surface_and_a_building_is_one():
    made = content([
        (3, 3, -np.inf, 20, RunKind.BASE, 0), (3, 3, 1, 30, RunKind.ENTERED, 2),
        (4, 2, -np.inf, 1, RunKind.BASE, 0), (4, 2, 1, 8, RunKind.ENTERED, 3),
    ])  # fmt: skip
    made.layers["status"][4, 2] = Status.KNOWN | Status.FROM_MODEL
    state = recalled(BOX, made)
    assert state.entered["from_m"].tolist() == [-np.inf, -np.inf]
    assert state.entered["surface"].tolist() == [False, True]
    assert np.isneginf(state.base[4, 2])
