"""A city in few blocks: nothing that stands may get lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mapping.made_maps import made_layers, made_map
from utm.errors import MapError
from utm.mapping.decimate import FLOATING_DTYPE, decimate, merged, reduced
from utm.mapping.mapfile import LAYERS, RUN_DTYPE, Status


def random_city(seed: int, nx: int, ny: int):
    """Layers, and runs of some columns with air in them (RUN_DTYPE, cells counted in the arrays)."""
    rng = np.random.default_rng(seed)
    terrain = rng.integers(0, 20, (nx, ny)).astype("f4")
    surface = terrain + rng.integers(0, 30, (nx, ny)).astype("f4")
    rows = []
    for ix in range(nx):
        for iy in range(ny):
            if rng.random() < 0.3:
                base = surface[ix, iy]
                rows.append((ix, iy, -np.inf, base, 0, 1))
                if rng.random() < 0.3:
                    rows.append((ix, iy, base, base + 5, 2, 1))
                low = base + rng.integers(6, 20)
                rows.append((ix, iy, low, low + 1, rng.integers(1, 4), 2))
                surface[ix, iy] = low + 1
    layers = {
        "terrain": terrain,
        "surface": surface,
        "status": rng.choice([Status.KNOWN, Status.UNKNOWN, Status.KNOWN | Status.SUSPECT], (nx, ny)).astype("u1"),
        "source": rng.integers(0, 4, (nx, ny)).astype("u2"),
        "age": rng.integers(0, 4, (nx, ny)).astype("u2"),
    }
    return layers, np.array(rows, RUN_DTYPE)


def slow_reduced(layers, runs, factor):
    """Block by block, cell by cell."""
    nx, ny = layers["terrain"].shape
    by_column = {}
    for run in runs.tolist():
        by_column.setdefault(run[:2], []).append(run)
    blocks, hanging = {}, []
    for ix in range(nx):
        for iy in range(ny):
            terrain, surface = layers["terrain"][ix, iy], layers["surface"][ix, iy]
            base = surface
            if (ix, iy) in by_column:
                base = terrain
                for _, _, low, high, kind, source in by_column[ix, iy]:
                    if low <= base:
                        base = max(base, high)
                    else:
                        hanging.append((ix // factor, iy // factor, low, high, kind, source))
            blocks.setdefault((ix // factor, iy // factor), []).append((ix, iy, surface - terrain, base - terrain))
    return blocks, hanging


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_a_block_holds_what_its_cells_hold(seed, nx, ny, factor):
    layers, runs = random_city(seed, nx, ny)
    made, floating = reduced(layers, runs, factor)
    blocks, hanging = slow_reduced(layers, runs, factor)
    assert made["above_m"].shape == (-(-nx // factor), -(-ny // factor))
    assert sorted(map(tuple, floating.tolist())) == sorted(hanging)
    for at, cells in blocks.items():
        assert made["above_m"][at] == max(above for _, _, above, _ in cells)
        assert made["base_m"][at] == max(base for _, _, _, base in cells)
        flags = np.bitwise_or.reduce([layers["status"][ix, iy] for ix, iy, _, _ in cells])
        assert made["status"][at] | Status.KNOWN == flags | Status.KNOWN
        assert bool(made["status"][at] & Status.KNOWN) == (not flags & Status.UNKNOWN)
        top = max(layers["surface"][ix, iy] for ix, iy, _, _ in cells)
        assert made["source"][at] in {layers["source"][c[:2]] for c in cells if layers["surface"][c[:2]] == top}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 30), st.integers(0, 6), st.integers(1, 2)),
        max_size=25,
    )
)
def test_what_overlaps_in_a_block_is_one(things):
    rows = np.array([(x, y, low, low + tall, kind, 7) for x, y, low, tall, kind in things], FLOATING_DTYPE)
    found = merged(rows)
    for key in {(x, y, kind) for x, y, _, _, kind in things}:
        before = np.sort(rows[[tuple(r)[:2] + (tuple(r)[4],) == key for r in rows]], order="from_m")
        after = found[[tuple(r)[:2] + (tuple(r)[4],) == key for r in found]]
        union = []
        for row in before:
            if union and row["from_m"] <= union[-1][1]:
                union[-1][1] = max(union[-1][1], row["to_m"])
            else:
                union.append([row["from_m"], row["to_m"]])
        assert [[r["from_m"], r["to_m"]] for r in after] == union


def test_read_in_chunks_it_is_the_same_as_read_at_once(small_map, monkeypatch):
    whole = decimate(small_map, longest=50)
    assert whole.factor == 3
    monkeypatch.setattr("utm.mapping.decimate._CHUNK", 10)
    stages = []
    chunks = decimate(small_map, longest=50, progress=lambda *step: stages.append(step))
    for name in ("ground_m", "above_m", "base_m", "status", "source", "age", "floating"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(chunks, name))
    assert stages[-1][1] == stages[-1][2] == len(stages)


def test_a_box_of_the_map(small_map):
    part = decimate(small_map, box=(15.0, 20.0, 75.0, 60.0))
    assert part.factor == 1
    assert part.origin_m == (15.0, 20.0)
    nx, ny = part.status.shape
    cells = (15, 20, 15 + nx, 20 + ny)
    np.testing.assert_array_equal(part.ground_m, small_map.layer("terrain", *cells))
    np.testing.assert_array_equal(part.above_m, small_map.layer("surface", *cells) - small_map.layer("terrain", *cells))
    with pytest.raises(MapError, match="off the map"):
        decimate(small_map, box=(-500.0, 0.0, -400.0, 10.0))


def test_it_reads_every_layer_there_is():
    from utm.mapping import decimate as module

    assert set(module.LAYERS) == set(LAYERS)


def test_rough_roofs_in_a_cloud_are_no_woods(tmp_path):
    """Every roof of an old town with gables was called woods."""
    rough = 8 + np.random.default_rng(1).uniform(0, 4, (80, 80)).astype(np.float32)
    for flag, trees in ((Status.FROM_RASTER, True), (Status.FROM_RASTER | Status.FROM_CLOUD, False)):
        layers = made_layers((80, 80))
        layers["surface"] = layers["terrain"] + rough
        layers["status"][:] = Status.KNOWN | flag
        made = decimate(made_map(tmp_path / str(int(flag)), layers))
        assert (made.woods.mean() > 0.9) == trees
        assert made.woods.any() == trees
