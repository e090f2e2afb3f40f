"""``utm sim`` and ``utm demo``: the stand-ins, which live in the checkout and not in the installed package."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

import utm
from utm.cli.output import airspace_option, json_option, progress, say, table, write_json
from utm.errors import InputError, OutsideError


def _need_the_checkout() -> None:
    checkout = str(Path(utm.__file__).resolve().parent.parent)
    if checkout not in sys.path:
        sys.path.append(checkout)  # an installed console script does not look there by itself
    try:
        import sims.vehicle  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("sims", "pymavlink"):
            raise
        raise InputError(
            f"this command needs the project's checkout ({error.name} is not here)",
            mend="Run it in a clone, after `make setup`.",
        ) from error


@click.group("sim")
def group() -> None:
    """Simulated vehicles.

    \b
    Example:
      utm sim vehicle --for medicine --speed 5
    """


@group.command(short_help="Run simulated vehicles on loopback until Ctrl-C.")
@click.option("--instances", type=click.IntRange(1, 10), help="How many, without --for.  [default: 1]")
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.1, 50.0),
    help="Times real time. The vehicle's clock starts now: depart at least 25 s times this ahead.",
)
@click.option("--for", "plan_ids", multiple=True, metavar="ID", help="Stand on the pad of a granted plan; may repeat.")
@click.option("--home", metavar="LON,LAT,AMSL", help="Where the first one stands, without --for.")
@click.option("--wind", default="0,0", show_default=True, metavar="EAST,NORTH", help="Steady wind, m/s.")
@click.option("--seed", default=0, show_default=True, help="Of noise and gusts.")
@airspace_option
@json_option
def vehicle(instances, speed, plan_ids, home, wind, seed, airspace_path, as_json) -> None:
    """Run simulated PX4-like vehicles on loopback until Ctrl-C: instance N on UDP 14540+N.

    \b
    Example:
      utm sim vehicle --for medicine --speed 5
      utm sim vehicle --instances 2 --home 136.3,36.3,10
    """
    if plan_ids and (home is not None or instances is not None):
        raise click.UsageError("--for says how many vehicles stand where; leave out --home and --instances")
    east, north = _numbers("--wind", wind, 2)
    _need_the_checkout()
    from sims.vehicle import Fleet, VehicleConfig, side_by_side

    if plan_ids:
        from sims.scene import on_their_pads
        from utm.airspace import Airspace

        with Airspace.open(airspace_path) as airspace:
            intents = [airspace.intent(plan_id) for plan_id in plan_ids]
            configs = on_their_pads(airspace.city_map, intents, wind_m_s=(east, north), seed=seed)
    else:
        lon, lat, amsl = _numbers("--home", home or "136.3,36.3,10", 3)
        first = VehicleConfig(lon_deg=lon, lat_deg=lat, ground_amsl_m=amsl, wind_m_s=(east, north), seed=seed)
        configs = side_by_side(first, instances or 1)
    links = [f"udpin://127.0.0.1:{14540 + config.instance}" for config in configs]
    try:
        with Fleet(configs, speed=speed):
            say(f"{', '.join(links)} at {speed:g} times real time; Ctrl-C ends it", label="sim", style="cyan")
            if as_json:  # now, not at the end: it tells a program that waits where to connect
                write_json({"links": links, "speed": speed})
                sys.stdout.flush()
            while True:
                time.sleep(3600.0)
    except KeyboardInterrupt:
        say("stopped", label="sim", style="cyan")
    except OSError as error:
        raise OutsideError(f"no UDP port for the vehicles: {error.strerror or error}") from error


def _numbers(option: str, text: str, count: int) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count:
        raise InputError(f"needs {count} numbers with commas between them", field=option, value=text)
    return values


@click.command()
@click.option("--out", default="out/demo", show_default=True, type=click.Path(path_type=Path), help="Made anew.")
@click.option("--seed", type=click.IntRange(0), help="Another town than the sample in data/sample_dsm.")
@click.option(
    "--speed", default=15.0, show_default=True, type=click.FloatRange(1, 20), help="Simulated over wall time."
)
@json_option
@click.pass_context
def demo(ctx, out, seed, speed, as_json) -> None:
    """From a drone survey to two flown sky roads: build, ask, fly, show.

    Exit code 0 only when both flights stayed inside their corridors and apart from each other.

    \b
    Example:
      utm demo --seed 3 --out out/three
    """
    _need_the_checkout()
    from sims.demo import run

    with progress("map") as update:
        result = run(out, seed=seed, speed=speed, tell=lambda text: say(text), progress=update)
    if as_json:
        write_json(result)
    else:
        _print_result(result, out)
    ctx.exit(0 if result["conforming"] else 1)


def _print_result(result: dict, out: Path) -> None:
    table(
        "Decisions",
        ("plan", "operator", "status", "what changed, or why not"),
        [(row["plan"], row["operator"], row["status"], row["sentence"]) for row in result["decisions"]],
    )
    table(
        "Flights",
        ("flight", "in the air (s)", "positions inside", "cross-track max (m)", "height error max (m)", "verdict"),
        [
            (
                row["id"],
                f"{row['airborne_s']:.0f}",
                f"{row['inside']} of {row['positions']}",
                f"{row['worst_cross_track_m']:.1f} of {row['half_width_m']:g}",
                f"{row['worst_height_error_m']:.1f} of {row['half_height_m']:g}",
                "conforming" if row["conformed"] else f"NOT conforming {row['error'] or ''}",
            )
            for row in result["flights"]
        ],
    )
    nearest = result["separation"]
    if nearest["horizontal_m"] is None:
        say("the two were never in the air together")
    else:
        say(
            f"nearest: {nearest['horizontal_m']:.0f} m apart and {nearest['vertical_m']:.0f} m in height; "
            f"{nearest['required_horizontal_m']:g} m or {nearest['required_vertical_m']:g} m are required"
        )
    say(
        f"report: {out / 'report.html'}  ({result['wall_s']:.0f} s in all)",
        style="green" if result["conforming"] else "red",
        label="held" if result["conforming"] else "NOT held",
    )
